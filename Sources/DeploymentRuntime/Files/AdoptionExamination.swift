package import Deployment
internal import Glibc
package import LinuxSystem
internal import Vocabulary

/// Whether a tree can become a release while its service runs, and what stands in the way. Only reads.
package struct AdoptionExamination {
  package let tree: String
  package let layout: Layout
  /// As the settings and the command line name them.
  package let shared: [String]
  package let excluded: [String]

  /// What was found in a tree that can be adopted.
  package struct Findings {
    /// Of `.git`, if it names one.
    package var commit: String?
    /// With `.git`, which is left where it is and is in no release.
    package var excluded: [String]
    package var moved: [String]
    /// Who the service runs as.
    package var service: Identity?
    package var entries = 0
  }

  /// Who is at work in a tree of these files.
  package typealias Users = ([FileFacts.Identity: TreePath]) throws(SystemError) -> TreeUsers
  private let users: Users

  package init(
    tree: String, layout: Layout, shared: [String], excluded: [String], users: @escaping Users = TreeUsers.of
  ) {
    self.users = users
    self.tree = tree
    self.layout = layout
    self.shared = shared
    self.excluded = excluded
  }

  /// - Throws: `refused`, with the remedy; files that are open for writing are in its lines.
  package func look() throws(StepFailure) -> Findings {
    try checkPlaces()
    let sharing = try SharedPaths(shared)
    var findings = Findings(commit: GitHead.commit(of: tree), excluded: excluded, moved: [])
    if access("\(tree)/.git", F_OK) == 0, !excluded.contains(".git") { findings.excluded.append(".git") }
    let outsideTexts = shared + findings.excluded
    let outside = Set(outsideTexts.compactMap { TreePath($0) })
    guard outside.count == outsideTexts.count, !outside.contains(.top) else {
      throw StepFailure(.refused, "a shared or excluded path does not lie in the tree, or is there twice")
    }
    let found = try walk(outside, Set(sharing.paths))
    findings.entries = found.names.count
    for (path, text) in zip(sharing.paths, sharing.paths.map { String(decoding: $0.bytes, as: UTF8.self) }) {
      guard try asFailure({ () throws(SystemError) in try FileFacts.ifPresent("\(tree)/\(text)") }) != nil else {
        continue
      }
      if access("\(layout.shared)/\(text)", F_OK) == 0 {
        throw StepFailure(
          .refused, "\(path) is in the tree and in \(layout.shared) already", next: "move one of the two away")
      }
      findings.moved.append(text)
    }
    let atWork = try asFailure { () throws(SystemError) in try users(found.names) }
    try refuseWriters(atWork, outside)
    if !findings.moved.isEmpty, let pid = atWork.readOnlyView(of: layout.shared) {
      throw StepFailure(
        .refused, "process \(pid) (\(ProcessTree.command(of: pid))) of the service may only read \(layout.shared)",
        next: "add ReadWritePaths=\(layout.shared) to its unit, and restart it")
    }
    findings.service = atWork.identity()
    return findings
  }

  /// As ``look()``, of the files that are open alone.
  func refuseWriters() throws(StepFailure) {
    let outside = Set((shared + excluded).compactMap { TreePath($0) })
    let found = try walk(outside, [])
    try refuseWriters(try asFailure { () throws(SystemError) in try users(found.names) }, outside)
  }

  // MARK: Places

  private func checkPlaces() throws(StepFailure) {
    func refuse(_ what: String, _ next: String) -> StepFailure { StepFailure(.refused, what, next: next) }
    guard tree.hasPrefix("/"),
      TreePath(String(tree.dropFirst())).map({ "/" + String(decoding: $0.bytes, as: UTF8.self) }) == tree
    else {
      throw refuse("\"\(tree)\" is no plain absolute path", "write it from / on, without .. and a slash at its end")
    }
    guard let facts = try asFailure({ () throws(SystemError) in try FileFacts.ifPresent(tree) }) else {
      throw refuse("there is no \(tree)", "name the directory the service runs from")
    }
    guard facts.kind == .directory else {
      throw refuse("\(tree) is a \(facts.kind.noun) and not a directory", "name the directory the service runs from")
    }
    let parent = try asFailure { () throws(SystemError) in try FileFacts.of(parentDirectory(of: tree)) }
    guard facts.sharesMount(with: parent) else {
      throw refuse(
        "\(tree) is a mount point, which cannot be renamed",
        "adopt a directory inside it: move the tree to \(tree)/server while the service is stopped")
    }
    if layout.directory == tree || layout.directory.hasPrefix("\(tree)/") {
      throw refuse(
        "directory \(layout.directory) of [service] lies in the tree \(tree) that would become a release in it",
        "set directory to another place of the same file system, such as \(parentDirectory(of: tree)) or \(tree).releases"
      )
    }
    for own in [layout.releases, layout.shared, layout.backups, layout.deploys, layout.current]
    where tree == own || tree.hasPrefix("\(own)/") {
      throw refuse("\(tree) is baton's own", "name the directory the service runs from")
    }
    let directory = try asFailure { () throws(SystemError) in try FileFacts.of(layout.directory) }
    guard directory.sharesMount(with: facts) else {
      throw refuse(
        "\(tree) and \(layout.directory) are on different file systems, and a rename cannot go from one to the other",
        "set directory of [service] to a place beside the tree, such as \(parentDirectory(of: tree))")
    }
    if try asFailure({ () throws(SystemError) in try FileFacts.ifPresent(layout.current) }) != nil {
      throw refuse(
        "\(layout.current) is there already", "a service that has releases needs no adoption: baton releases")
    }
  }

  // MARK: What is in it

  private func walk(
    _ outside: Set<TreePath>, _ shared: Set<TreePath>
  ) throws(StepFailure) -> (names: [FileFacts.Identity: TreePath], count: Int) {
    var names: [FileFacts.Identity: TreePath] = [:]
    var links: [FileFacts.Identity: (met: UInt32, all: UInt32, path: TreePath)] = [:]
    var unfit: [String] = []
    var ways: [String] = []
    do throws(SystemError) {
      names[try FileFacts.of(tree).identity] = .top
      try TreeWalk.each(in: tree) { (entry) throws(SystemError) in
        names[entry.facts.identity] = entry.path
        let isOutside = Self.isCovered(entry.path, outside)
        switch entry.facts.kind {
        case .directory: break
        case .file:
          if entry.facts.links > 1, !isOutside {
            links[entry.facts.identity, default: (0, entry.facts.links, entry.path)].met += 1
          }
        case .link:
          let target = try readLink(at: entry.directory, entry.name, entry.path.escaped)
          let top = shared.first { entry.path.isInside($0) } ?? .top
          if Self.leaves(entry.path, target, top) { ways.append("\(entry.path) -> \(EscapedText.escape(target))") }
        case .socket, .pipe, .characterDevice, .blockDevice:
          if !isOutside { unfit.append("\(entry.path) (\(entry.facts.kind.noun))") }
        }
      }
    } catch {
      if error.errno == EXDEV {
        throw StepFailure(
          .refused, error, next: "unmount it, or keep it out of the tree and let a link lead to it")
      }
      throw StepFailure(.refused, error)
    }
    try refuse(unfit, "a release cannot hold", next: "name each with --shared PATH or --exclude PATH, or in [deploy]")
    try refuse(
      ways, "these links lead out of the tree by a relative way, and would lead elsewhere from a release",
      next: "make them absolute: ln -sfn TARGET LINK")
    let elsewhere = links.values.filter { $0.met < $0.all }.map { "\($0.path) has \($0.all) names" }
    try refuse(
      elsewhere.sorted(), "these files have other names outside the tree, and their owner would change there as well",
      next: "copy each and rename the copy into its place, or exclude it")
    return (names, names.count)
  }

  private func refuse(_ list: [String], _ why: String, next: String) throws(StepFailure) {
    guard !list.isEmpty else { return }
    throw StepFailure(.refused, "\(list.count) in \(tree): \(why)", next: next, lines: Array(list.prefix(20)))
  }

  private func refuseWriters(_ users: TreeUsers, _ outside: Set<TreePath>) throws(StepFailure) {
    let open = users.writers.filter { !Self.isCovered($0.path, outside) }
    guard !open.isEmpty else { return }
    // One may be open in several processes.
    let count = Set(open.map(\.path)).count
    let files = count == 1 ? "a file of \(tree) is" : "\(count) files of \(tree) are"
    throw StepFailure(
      .refused, "\(files) open for writing, and a release is never written to",
      next: "name each, or a directory above it, with --shared PATH (kept for every release) or --exclude PATH",
      lines: open.prefix(20).map { "\($0.path) by \($0.command) (pid \($0.pid))" })
  }

  private static func isCovered(_ path: TreePath, _ outside: Set<TreePath>) -> Bool {
    outside.contains { path.isInside($0) }
  }

  /// A relative target that climbs above `top`, by its names.
  static func leaves(_ path: TreePath, _ target: [UInt8], _ top: TreePath) -> Bool {
    guard target.first != UInt8(ascii: "/") else { return false }
    var depth = path.parent.depth - top.depth
    for name in target.split(separator: UInt8(ascii: "/")) {
      if name.elementsEqual("..".utf8) { depth -= 1 } else if !name.elementsEqual(".".utf8) { depth += 1 }
      if depth < 0 { return true }
    }
    return false
  }
}

/// The commit a working tree is at, read without git, which refuses trees of other users.
enum GitHead {
  static func commit(of tree: String) -> String? {
    guard let head = line("\(tree)/.git/HEAD") else { return nil }
    guard head.hasPrefix("ref: ") else { return hash(head) }
    let ref = String(head.dropFirst(5))
    guard TreePath(ref) != nil else { return nil }
    if let loose = line("\(tree)/.git/\(ref)") { return hash(loose) }
    guard let packed = try? readFile("\(tree)/.git/packed-refs", limit: 16 << 20) else { return nil }
    for entry in String(decoding: packed, as: UTF8.self).split(separator: "\n") where entry.hasSuffix(" \(ref)") {
      return hash(String(entry.prefix { $0 != " " }))
    }
    return nil
  }

  private static func line(_ path: String) -> String? {
    guard let bytes = try? readFile(path, limit: 4_096) else { return nil }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  private static func hash(_ text: String) -> String? {
    (text.utf8.count == 40 || text.utf8.count == 64) && text.utf8.allSatisfy { EscapedText.value($0) != nil }
      ? text : nil
  }
}
