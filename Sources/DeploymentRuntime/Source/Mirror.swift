import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// A bare repository that has what the real one had at the last fetch: all branches and tags, no work tree, no remote,
/// no hooks. It can be lost at any time: it is made anew.
struct Mirror {
  let operation: Operation
  let url: String
  let path: String
  let git: Git
  private let files: DurableFiles

  init(_ operation: Operation, of url: String, at path: String) {
    self.operation = operation
    self.url = url
    self.path = path
    git = Git(operation, directory: path)
    files = DurableFiles(operation.effects, operation: operation.id)
  }

  /// A URL without what may be a password in it.
  var shownURL: String { Mirror.shown(url) }

  static func shown(_ url: String) -> String {
    guard let colon = url.firstIndex(of: ":"), url[colon...].hasPrefix("://") else { return url }
    let start = url.index(colon, offsetBy: 3)
    guard let at = url[start...].prefix(while: { $0 != "/" }).lastIndex(of: "@") else { return url }
    return String(url[..<start] + url[start..<at].prefix { $0 != ":" } + url[at...])
  }

  /// Brings it up to date, making it first where it is not there. One that turns out to be broken is set aside and made
  /// anew, once.
  func update(for ref: Ref? = nil) throws(StepFailure) {
    var refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    if ref?.isHead == true { refspecs.append("+HEAD:\(Ref.headHere)") }
    do throws(StepFailure) {
      try make()
      try removeLocks()
      try fetch(refspecs, pruning: true)
    } catch {
      guard error.kind == .failed, try isBroken() else { throw error }
      try renew()
      try fetch(refspecs, pruning: true)
    }
  }

  /// Sets it aside, for a person to look at, in place of one set aside before; and makes an empty one.
  func renew() throws(StepFailure) {
    let aside = "\(path).broken"
    operation.audience.warn("the mirror \(path) is broken; it is set aside as \(aside) and fetched anew")
    try asFailure { () throws(SystemError) in
      try files.discardTree(aside)
      try files.move(path, to: aside)
    }
    try make()
  }

  /// Whether git itself can no longer read it. Takes as long as reading the list of all objects.
  func isBroken() throws(StepFailure) -> Bool {
    guard (try? FileFacts.ifPresent(path)) != nil else { return false }
    guard try git.ask(["rev-parse", "--git-dir"]).hasSucceeded else { return true }
    return try !git.ask(["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]).hasSucceeded
  }

  func has(_ commit: String) throws(StepFailure) -> Bool {
    guard (try? FileFacts.ifPresent(path)) != nil else { return false }
    // Quiet about one that is not there: that is no error.
    return try git.ask(["rev-parse", "--quiet", "--verify", "\(commit)^{commit}"]).hasSucceeded
  }

  /// Fetches one commit that no branch or tag may lead to; whether a server gives it is its own matter.
  func fetch(commit: String) throws(StepFailure) { try fetch([commit], pruning: false) }

  private func make() throws(StepFailure) {
    let temporary = TemporaryName.beside(path, operation.id)
    let isMade = try asFailure { () throws(SystemError) in
      guard let facts = try FileFacts.ifPresent(path) else {
        try files.removeTree(temporary)
        return false
      }
      guard facts.kind == .directory else { throw SystemError("make the mirror", path, errno: ENOTDIR) }
      return true
    }
    if isMade { return }
    let git = Git(operation)
    let result = try git.command(["init", "--quiet", "--bare", "--template=", temporary]).run(operation)
    try result.succeeded(next: "see that git is installed and \(operation.layout.deploys) is writable")
    try asFailure { () throws(SystemError) in try files.move(temporary, to: path) }
  }

  private func fetch(_ refspecs: [String], pruning: Bool) throws(StepFailure) {
    var arguments = [
      "fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules",
    ]
    if pruning { arguments.append("--prune") }
    let command = git.command(arguments + ["--", url] + refspecs, subject: "git fetch \(shownURL)")
    let result = try command.run(operation)
    guard !result.hasSucceeded else { return }
    throw StepFailure(
      .failed, "\(shownURL) could not be fetched: \(result.sentence)",
      next: "as \(operation.deploy.user): git ls-remote \(shownURL)", lines: result.lastLines)
  }

  /// A fetch that was killed leaves lock files, and every later one refuses. We hold the service's lock: nobody else
  /// works here.
  private func removeLocks() throws(StepFailure) {
    func locks(in directory: String, depth: Int) -> [String] {
      ((try? directoryEntries(directory)) ?? []).flatMap { name -> [String] in
        let place = "\(directory)/\(name)"
        if name.hasSuffix(".lock") { return [place] }
        guard depth > 0, (try? FileFacts.of(place))?.kind == .directory else { return [] }
        return locks(in: place, depth: depth - 1)
      }
    }
    let unfinished = ((try? directoryEntries("\(path)/objects/pack")) ?? []).filter { $0.hasPrefix("tmp_") }
    let found =
      locks(in: "\(path)/refs", depth: 16)
      + ((try? directoryEntries(path)) ?? []).filter { $0.hasSuffix(".lock") }
      .map { "\(path)/\($0)" } + unfinished.map { "\(path)/objects/pack/\($0)" }
    try asFailure { () throws(SystemError) in for place in found { try files.remove(place) } }
  }
}
