import ArgumentParser
import ControlProtocol
import Glibc
import JSON
import LeaseStores
import Leases
import LinuxSystem
import Vocabulary

struct LockCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock",
    abstract: "Runs a command on one place at a time: locks that expire, are renewed, and carry a rising token.",
    discussion: """
      In a crontab, so that a slow backup never meets the next one:
        */15 * * * *  baton lock run backup -- /usr/local/bin/backup
      Whoever comes second gets status 75 at once, or waits: --wait 10m. A lock is renewed as long as its command lives, \
      so its time (--ttl) says only how soon another may go on after a crash.
      """,
    subcommands: [Run.self, List.self, Release.self, Clean.self])

  struct Place: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        """
        Where the locks lie: a file, or, for several hosts, redis://HOST[:PORT][/DB] or postgres://HOST[:PORT]/DATABASE, \
        with USER:PASSWORD@ in front; BATON_LOCK_STORE says it too. Users have a file each, root's is the host's.
        """,
        valueName: "store"))
    var store: String?

    func choice() throws -> LockStore { try LockStore(store) }
  }

  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Runs a command while it has the lock; the exit status is the command's, or 75 when another has the lock.",
      discussion: """
        The command finds its token in BATON_LEASE_TOKEN: where what it writes to compares it, a late writer is refused. \
        Should the lock be lost, it gets SIGTERM, then SIGKILL, before another can have it; the status is 1 then. TERM, INT, \
        HUP, QUIT, USR1 and USR2 are passed on. What the command leaves running holds the lock.

          baton lock run nightly --wait 1h -- ./report --all
          baton lock run import --ttl 30s --owner worker-1 -- sh import.sh
        """)

    @Argument(help: "The lock: 1 to 64 of a-z 0-9 - _.", completion: .custom { _, _, _ in LockCommand.known })
    var name: String
    @Option(
      help: ArgumentHelp(
        "How soon another may have it after this host or baton died: 1s to 1d.", valueName: "duration"),
      transform: { try Duration(text: $0) })
    var ttl: Duration = .seconds(60)
    @Option(
      help: ArgumentHelp("Wait so long for whoever has it, such as 10m.", valueName: "duration"),
      transform: { try Duration(text: $0) })
    var wait: Duration?
    @Option(help: ArgumentHelp("What others see as the owner, instead of the user.", valueName: "owner"))
    var owner: String?
    @OptionGroup var place: Place
    @Argument(parsing: .postTerminator, help: "The command and its arguments, behind two hyphens.")
    var command: [String] = []

    func validate() throws {
      guard !command.isEmpty else { throw ValidationError("say what to run, behind two hyphens: -- COMMAND") }
      guard (Duration.seconds(1)...Duration.seconds(86_400)).contains(ttl) else {
        throw ValidationError("--ttl takes 1s to 1d")
      }
    }

    func run() throws {
      let name = try LeaseName(checking: self.name)
      let label = LockStore.label(owner)
      let choice = try place.choice()
      let run: LockRun
      do throws(SystemError) {
        run = try LockRun(
          name, command, in: choice, owner: label, timeToLive: ttl, wait: wait)
      } catch { throw Failure(.failed, "\(error)", holds: "nothing was started") }
      let status = try run.run()
      if status != 0 { throw ExitCode(status) }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists the locks: who has them, for how long they are proven, with which token.")

    @OptionGroup var place: Place
    @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

    func run() throws {
      let place = try place.choice()
      let records = place.exists ? try place.ask { (store) throws(StoreError) in try store.records() } : []
      if json {
        return Terminal.print(.object(["store": .string("\(place)"), "locks": .array(records.map(\.json))]))
      }
      guard !records.isEmpty else { return Terminal.print("no lock was taken yet in \(plain("\(place)"))") }
      var table = Table(rightAligned: [2, 3])
      table.append(["LOCK", "HELD BY", "PROVEN FOR", "TOKEN"].map { ($0, .faint) })
      for record in records.filter({ $0.holder != nil }) + records.filter({ $0.holder == nil }) {
        table.append(record.cells)
      }
      for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
    }
  }

  struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Takes a lock from whoever has it, who is told, and whose token no longer counts.")

    @Argument(help: "The lock.", completion: .custom { _, _, _ in LockCommand.known })
    var name: String
    @Flag(help: "Though somebody has it; without this, that is an error.") var force = false
    @OptionGroup var place: Place
    @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

    func run() throws {
      let name = try LeaseName(checking: self.name)
      let place = try place.choice()
      let records = place.exists ? try place.ask { (store) throws(StoreError) in try store.records() } : []
      let before: LeaseRecord?
      if force {
        before = place.exists ? try place.ask { (store) throws(StoreError) in try store.free(name) } : nil
      } else if let holder = records.first(where: { $0.name == name })?.holder {
        throw Failure(
          .busy, "\(name) is held by \(holder.label), proven for another \(Ages.text(holder.remaining))",
          holds: "it stays theirs", next: "baton lock release \(name) --force takes it; its command is ended")
      } else {
        before = nil
      }
      if json {
        var members: JSON.Members = ["lock": name.rawValue.json, "released": .bool(before != nil)]
        members.append("from", before?.holder?.label)
        return Terminal.print(.object(members))
      }
      guard let holder = before?.holder else { return Terminal.print("nobody has \(name)") }
      Terminal.print("\(name) was taken from \(plain(holder.label)); tokens up to \(holder.token) no longer count")
    }
  }

  struct Clean: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Forgets locks that nobody has. Expired ones need no cleaning: they are free.",
      discussion: "Tokens go on rising where they were.")

    @Flag(help: "Say what would be done, and do nothing.") var dryRun = false
    @Option(
      help: ArgumentHelp(
        "Only those of that owner: worker, worker@host, worker@host:pid, or the id in --json.", valueName: "owner"))
    var owner: String?
    @Flag(help: "Also those that owner still has: they are taken away as release --force does.") var force = false
    @OptionGroup var place: Place
    @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

    func validate() throws {
      guard !force || owner != nil else { throw ValidationError("--force says whose: --owner") }
    }

    func run() throws {
      let place = try place.choice()
      var forgotten: [LeaseRecord] = []
      var taken: [LeaseRecord] = []
      var held: [LeaseRecord] = []
      if place.exists {
        try place.ask { (store) throws(StoreError) in
          for record in try store.records() where owner.map({ OwnerPattern(text: $0).matches(record) }) ?? true {
            if record.holder == nil {
              if dryRun { forgotten.append(record) } else if try store.forget(record.name) { forgotten.append(record) }
            } else if force {
              if dryRun {
                taken.append(record)
              } else if let before = try store.free(record.name) {
                taken.append(before)
              }
            } else {
              held.append(record)
            }
          }
        }
      }
      if json {
        var members: JSON.Members = ["done": .bool(!dryRun)]
        members.append("forgotten", forgotten.map(\.name.rawValue))
        members.append("taken", taken.map(\.name.rawValue))
        members.append("held", held.map(\.name.rawValue))
        return Terminal.print(.object(members))
      }
      let would = dryRun ? "would be " : ""
      for record in taken {
        Terminal.print("\(record.name)  \(would)taken from \(plain(record.holder?.label ?? "nobody"))")
      }
      for record in forgotten { Terminal.print("\(record.name)  \(would)forgotten") }
      if owner != nil { for record in held { Terminal.say("baton: \(record.name) is held: --force takes it") } }
      if taken.isEmpty && forgotten.isEmpty { Terminal.print("nothing to clean") }
    }
  }

  /// For completions.
  static var known: [String] {
    guard let place = try? LockStore(nil), place.exists,
      let records = try? place.ask({ (store) throws(StoreError) in try store.records() })
    else { return [] }
    return records.map(\.name.rawValue)
  }
}

extension LeaseName {
  init(checking text: String) throws {
    do throws(NameError) { self = try LeaseName(text) } catch { throw Failure(.usage, "\(error)") }
  }
}

extension LeaseRecord {
  var cells: [Table.Cell] {
    guard let holder else {
      return [
        (name.rawValue, .faint), (last.isEmpty ? "nobody" : "nobody; last: \(plain(last))", .faint), ("-", .faint),
        ("\(token)", .faint),
      ]
    }
    return [(name.rawValue, nil), (plain(holder.label), nil), (Ages.text(holder.remaining), nil), ("\(token)", nil)]
  }

  var json: JSON {
    var members: JSON.Members = [
      "lock": name.rawValue.json, "held": .bool(holder != nil), "token": .integer(Int64(clamping: token.number)),
    ]
    members.append("owner", holder?.owner.text)
    members.append("label", holder?.label)
    members.append("remainingMs", holder?.remaining)
    members.append("last", last)
    return .object(members)
  }
}
