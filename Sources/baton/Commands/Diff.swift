import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import JSON
import Vocabulary

struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compares two releases: their commits, and the files that were added, removed or changed.",
    usage: "baton diff [<name>] <release> <release> [--limit <count>] [--settings <file>] [--json]",
    discussion: "Exit status 0 also where they differ. current names the one that serves.")

  @Argument(
    help: ArgumentHelp("The service, if it has to be named, then the older and the newer release.", valueName: "words"))
  var words: [String]
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("How many files at most.", valueName: "count"))
  var limit = 200
  @Option(help: ArgumentHelp("The settings file, if it is not /etc/baton/NAME.toml.", valueName: "file"))
  var settings: String?
  @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

  func validate() throws {
    guard (2...3).contains(words.count) else {
      throw ValidationError("say which two releases, with the service in front if it has to be named")
    }
    guard (0...500_000).contains(limit) else { throw ValidationError("--limit takes 0 to 500000") }
  }

  func run() throws {
    let service = try DeployedService(words.count == 3 ? words[0] : nil, settings: settings)
    let old = try manifest(words[words.count - 2], service)
    let new = try manifest(words[words.count - 1], service)
    let differences = TreeDifferences(from: old.items, to: new.items, limit: limit)
    if json { return tell(old, new, differences) }
    Terminal.print("from \(line(old))")
    Terminal.print("to   \(line(new))")
    Terminal.print(differences.isEmpty ? "the same files" : differences.summary)
    for difference in differences.first { Terminal.print(difference.line) }
    let left = differences.count - differences.first.count
    if left > 0 { Terminal.print("… and \(left) more: --limit shows them") }
  }

  private func line(_ manifest: Manifest) -> String {
    let origin = manifest.origin
    let commit = origin.commit.map { " commit \($0.prefix(12))" } ?? ""
    let ref = origin.ref.map { " (\(plain($0)))" } ?? ""
    let count = manifest.items.count
    return "\(origin.release)\(commit)\(ref), \(count) file\(count == 1 ? "" : "s") of \(manifest.contentSize)"
  }

  private func manifest(_ word: String, _ service: DeployedService) throws -> Manifest {
    let layout = service.layout
    guard let id = word == "current" ? currentRelease(layout) : ReleaseID(word), id.hasForm else {
      throw Failure(
        word == "current" ? .failed : .usage,
        word == "current" ? "no release serves" : "\"\(plain(word))\" is no release", holds: "nothing was changed",
        next: "baton releases \(service.mention) lists them")
    }
    do throws(ManifestError) { return try Manifest.read(layout.manifest(id)) } catch {
      throw Failure(
        .failed, "release \(id) has no manifest to be read: \(error)", holds: "nothing was changed",
        next: "baton releases \(service.mention) lists the releases")
    }
  }

  private func tell(_ old: Manifest, _ new: Manifest, _ differences: TreeDifferences) {
    func release(_ manifest: Manifest) -> JSON {
      var members: JSON.Members = ["release": manifest.origin.release.json, "files": manifest.items.count.json]
      members.append("commit", manifest.origin.commit)
      members.append("ref", manifest.origin.ref)
      members.append("bytes", manifest.contentSize)
      return .object(members)
    }
    var members: JSON.Members = ["from": release(old), "to": release(new)]
    members.append("added", differences.added)
    members.append("removed", differences.removed)
    members.append("changed", differences.changed)
    members.append("files", differences.json)
    Terminal.print(.object(members))
  }
}

extension TreeDifferences {
  /// Of those that are kept.
  var json: JSON {
    .array(first.map { .object(["path": .string($0.path.description), "change": .string($0.kind.word)]) })
  }
}

extension TreeDifference {
  /// `~ bin/main`, for a terminal.
  var line: String {
    var text = StyledLine(kind.sign, kind.colour)
    text.append(" \(plain(path.description))")
    // Of a commit only this much is known of modes.
    if kind == .mode, let before = old?.mode, let after = new?.mode {
      text.append("  mode \(String(before, radix: 8)) is \(String(after, radix: 8)) now", .faint)
    }
    return text.text(width: nil, colour: Terminal.usesColour)
  }
}

extension TreeDifference.Kind {
  fileprivate var sign: String {
    switch self {
    case .missing: "-"
    case .extra: "+"
    case .kind, .mode, .content: "~"
    }
  }

  fileprivate var colour: StyledLine.Colour {
    switch self {
    case .missing: .red
    case .extra: .green
    case .kind, .mode, .content: .yellow
    }
  }

  fileprivate var word: String {
    switch self {
    case .missing: "removed"
    case .extra: "added"
    case .kind: "kind"
    case .mode: "mode"
    case .content: "content"
    }
  }
}
