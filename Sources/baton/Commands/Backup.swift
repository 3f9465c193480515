import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import JSON
import LinuxSystem
import Vocabulary

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Makes, lists, verifies and unpacks archives of releases and what they share.",
    subcommands: [Create.self, List.self, Verify.self, Restore.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes an archive of the release that serves, reads it back and compares it with its manifest.",
      discussion: "One that says the same already is verified and named instead.")

    @OptionGroup var service: DeployedServiceOptions

    func run() throws {
      let work = try BackupWork(service, "backup create")
      guard let release = currentRelease(work.service.layout) else {
        throw Failure(
          .failed, "there is no release yet", holds: "nothing was changed", next: "baton deploy \(work.service.mention)"
        )
      }
      let made = try work.locked { (store) throws(StepFailure) in
        try asFailure { () throws(SystemError) in
          try store.files.makeDirectory(store.layout.backups, mode: 0o700)
          try store.files.sweep(store.layout.backups)
        }
        return try store.create(of: release, sequence: work.lastSequence, audience: work.audience)
      }
      work.end()
      if service.json {
        var members: JSON.Members = [
          "service": work.service.name.json, "release": release.json, "archive": made.name.json,
          "isNew": .bool(made.isNew),
        ]
        members.append("takenOver", made.takenOver)
        members.append("writingMs", made.writing.milliseconds)
        members.append("syncingMs", made.syncing.milliseconds)
        members.append("readingBackMs", made.readingBack.milliseconds)
        return Terminal.print(.object(members))
      }
      Terminal.print(plain(work.service.layout.backups + "/" + made.name))
      if !made.isNew { Terminal.say("baton: it was there already, is whole, and says the same") }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists the archives there are, the newest first. What is in them is not read.")

    @OptionGroup var service: DeployedServiceOptions

    func run() throws {
      let work = try BackupWork(service, "backup list")
      let listed = try work.plainly { (store) throws(StepFailure) in try store.list() }
      if service.json {
        var members: JSON.Members = ["service": work.service.name.json]
        members.append("archives", .array(listed.found.map(Self.json)))
        members.append(
          "broken", .array(listed.broken.map { .object(["archive": $0.name.json, "what": $0.why.json]) }))
        return Terminal.print(.object(members))
      }
      if listed.found.isEmpty { Terminal.print("there is no archive yet") }
      var table = Table(rightAligned: [2])
      table.append(["ARCHIVE", "MADE", "SIZE"].map { ($0, .faint) })
      for one in listed.found {
        table.append([(plain(one.name), nil), (DateText.text(one.head.made), nil), ("\(one.size)", nil)])
      }
      if !listed.found.isEmpty {
        for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
      }
      for broken in listed.broken { Terminal.say("baton: \(plain(broken.why))") }
    }

    private static func json(_ one: BackupStore.Found) -> JSON {
      var members: JSON.Members = ["archive": one.name.json, "release": one.head.release.json]
      members.append("operation", one.head.operation)
      members.append("madeUsec", one.head.made * 1_000_000)
      members.append("size", one.size)
      return .object(members)
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Reads archives to their end and compares every entry with the manifests in them.",
      discussion: "Exit status 1 when one is not what it was.")

    @OptionGroup var service: DeployedServiceOptions
    @Option(
      help: ArgumentHelp("That one, by its name or its path, instead of all there are.", valueName: "archive"),
      completion: .file())
    var archive: String?

    func run() throws {
      let work = try BackupWork(service, "backup verify")
      let names = try work.plainly { (store) throws(StepFailure) in
        if let archive { return [archive] }
        let listed = try store.list()
        return listed.found.map(\.name) + listed.broken.map(\.name)
      }
      var verdicts: [JSON] = []
      var broken: [String] = []
      for name in names {
        let path = try work.plainly { (store) throws(StepFailure) in try store.path(of: name) }
        var members: JSON.Members = ["archive": name.json]
        do throws(ArchiveError) {
          let backup = try BackupArchive(path).verify {
            work.audience.progress(done: Int64($0), total: nil, unit: "bytes")
          }
          let entries = backup.manifest.items.count + backup.shared.items.count
          members.append("sound", .bool(true))
          members.append("release", backup.head.release)
          members.append("entries", entries)
          work.end()
          if !service.json { Terminal.print("\(plain(name)): sound, \(entries) \(entries == 1 ? "entry" : "entries")") }
        } catch {
          broken.append(error.description)
          members.append("sound", .bool(false))
          members.append("what", error.description)
        }
        verdicts.append(.object(members))
      }
      work.end()
      if service.json {
        var members: JSON.Members = ["service": work.service.name.json]
        members.append("archives", .array(verdicts))
        Terminal.print(.object(members))
      }
      for what in broken.dropLast() { Terminal.say("baton: \(plain(what))") }
      guard let last = broken.last else { return }
      var failure = Failure(
        .failed, last, holds: "nothing was changed", next: "baton backup create \(work.service.mention) makes a new one"
      )
      failure.isPrinted = service.json
      throw failure
    }
  }

  struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Unpacks an archive: its release back to where releases are, or all of it into a new directory.",
      discussion: """
        What serves is never touched: baton rollback puts a release that was restored into service. Unpacked aside, \
        verified, synced, and only then given its name.
        """)

    @OptionGroup var service: DeployedServiceOptions
    @Option(
      help: ArgumentHelp("By its name in backups/, or its path; baton backup list shows them.", valueName: "archive"),
      completion: .file())
    var archive: String
    @Option(
      help: ArgumentHelp("A new directory for all of it, instead.", valueName: "directory"), completion: .directory)
    var to: String?

    func run() throws {
      let work = try BackupWork(service, "backup restore")
      let target = try to.map { try DeployedService.absolute($0) }
      var took: BackupStore.Took?
      let release = try work.locked { (store) throws(StepFailure) -> ReleaseID? in
        guard let target else { return try store.restoreRelease(from: archive, audience: work.audience) }
        took = try store.restore(from: archive, to: target, audience: work.audience)
        return nil
      }
      work.end()
      let place = target ?? release.map { work.service.layout.release($0) } ?? ""
      if service.json {
        var members: JSON.Members = ["service": work.service.name.json, "archive": archive.json]
        members.append("release", release)
        members.append("directory", place)
        members.append("unpackingMs", took?.unpacking.milliseconds)
        members.append("syncingMs", took?.syncing.milliseconds)
        return Terminal.print(.object(members))
      }
      Terminal.print(plain(place))
    }
  }
}

/// What the commands about archives have in common: who does it, under which lock, what of it is seen, how it fails.
private struct BackupWork {
  let service: DeployedService
  let audience: BackupAudience
  private let files: DurableFiles

  /// From here on this process is the deploy user.
  init(_ options: DeployedServiceOptions, _ attempt: String) throws {
    service = try options.service()
    try service.becomeDeployUser(to: attempt)
    umask(0o077)
    audience = BackupAudience(isSilent: options.json)
    files = DurableFiles(Effects(.act), operation: OperationID.new())
  }

  private var store: BackupStore { BackupStore(service.layout, service.name, service.deploy, files) }

  /// That of the last operation: a backup by hand is as new as what it is of.
  var lastSequence: Int64 { DeployHistory.read(service.layout, limit: 1).operations.first?.facts.sequence ?? 0 }

  func plainly<Answer>(_ body: (BackupStore) throws(StepFailure) -> Answer) throws -> Answer {
    do throws(StepFailure) { return try body(store) } catch { throw failure(error) }
  }

  /// Nobody deploys meanwhile.
  func locked<Answer>(_ body: (BackupStore) throws(StepFailure) -> Answer) throws -> Answer {
    do throws(StepFailure) {
      try asFailure { () throws(SystemError) in try files.makeDirectory(service.layout.deploys) }
      let lock = try OperationLock.acquire(
        service.layout, "backup", files.operation, who: Person.name, effects: files.effects)
      defer { lock.release() }
      return try body(store)
    } catch { throw failure(error) }
  }

  private func failure(_ error: StepFailure) -> Failure {
    end()
    let status: ExitStatus = error.kind == .busy ? .busy : .failed
    var failure = Failure(status, error.what, holds: "nothing was changed", next: error.next)
    failure.lines = error.lines
    return failure
  }

  func end() { Terminal.endProgress() }
}

extension Duration {
  fileprivate var milliseconds: Int64 {
    components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
  }
}

/// Warnings, and how far it is where that can be redrawn.
private final class BackupAudience: OperationAudience {
  private let isSilent: Bool
  private var lastShown = Instant.zero

  init(isSilent: Bool) { self.isSilent = isSilent }

  func note(_ text: String) { if !isSilent { say(text) } }
  func warn(_ text: String) { say("warning: \(text)") }
  func output(_ line: String) {}

  private func say(_ text: String) {
    Terminal.endProgress()
    Terminal.say("baton: \(plain(text))")
  }

  func progress(done: Int64, total: Int64?, unit: String) {
    let now = Instant.monotonicNow()
    guard !isSilent, Terminal.movesLines, now - lastShown >= .milliseconds(100) else { return }
    lastShown = now
    let amount = ByteCount(UInt64(max(0, done)))
    let whole = total.map { " of \(ByteCount(UInt64(max(0, $0))))" } ?? ""
    Terminal.progress("\(amount)\(whole)")
  }
}
