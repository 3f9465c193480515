package import Deployment
internal import Glibc
internal import LinuxSystem
internal import Vocabulary

/// Paths of the tree that are links into `shared/` in every release: logs, uploads, what outlives a release.
package struct SharedPaths {
  package let paths: [TreePath]

  /// - Throws: `refused` where a path leaves the tree, is its top, or lies inside another.
  package init(_ texts: [String]) throws(StepFailure) {
    var paths: [TreePath] = []
    for text in texts {
      guard let path = TreePath(text), !path.isTop else {
        throw StepFailure(
          .refused, "shared path \"\(text)\" does not lie in the tree", next: "write it relative to the tree: \"logs\"")
      }
      if let other = paths.first(where: { $0.isInside(path) || path.isInside($0) }) {
        throw StepFailure(.refused, "shared paths \(other) and \(path) lie in each other", next: "keep the outer one")
      }
      paths.append(path)
    }
    self.paths = paths.sorted()
  }

  /// Links each into a release. Where `shared/` has none yet, the release's own becomes the shared one in one exchange;
  /// where both have one, the shared one is used if nothing of the release's own would be hidden by it; where neither
  /// has one, an empty directory is made. Run again after a kill it goes on where it was.
  ///
  /// - Throws: `refused` where a file only the release has would be hidden.
  package func link(into release: String, _ layout: Layout, _ files: DurableFiles) throws(StepFailure) {
    for path in paths { try link(path, into: release, layout, files) }
  }

  private func link(_ path: TreePath, into release: String, _ layout: Layout, _ files: DurableFiles)
    throws(StepFailure)
  {
    guard let name = String(validating: path.bytes, as: UTF8.self) else { return }
    let (own, shared) = ("\(release)/\(name)", "\(layout.shared)/\(name)")
    try refuseLinks(above: path, in: release)
    try refuseLinks(above: path, in: layout.shared)
    let target = Self.target(of: path)
    try asFailure { () throws(SystemError) in
      try files.makeDirectories(parentDirectory(of: own))
      try makeShared(parentDirectory(of: shared), layout, files)
    }
    let ownFacts = try asFailure { () throws(SystemError) in try FileFacts.ifPresent(own) }
    let sharedFacts = try asFailure { () throws(SystemError) in try FileFacts.ifPresent(shared) }
    let isLinked = ownFacts?.kind == .link && (try? readLink(own)) == Array(target.utf8)
    // The link that was to be exchanged lies in shared/ only until then: a kill came in between.
    let isWaiting = sharedFacts?.kind == .link && (try? readLink(shared)) == Array(target.utf8)
    switch (ownFacts, sharedFacts) {
    case (_?, nil) where !isLinked, (_?, _?) where isWaiting && !isLinked:
      try asFailure { () throws(SystemError) in
        try files.replaceSymlink(shared, with: target)
        try files.exchange(own, shared)
      }
    case (_?, _?) where !isLinked:
      try refuseHiding(name, own: own, shared: shared, release)
      try asFailure { () throws(SystemError) in
        try files.discardTree(own)
        try files.replaceSymlink(own, with: target)
      }
    default:
      try asFailure { () throws(SystemError) in
        if sharedFacts == nil || isWaiting {
          if isWaiting { try files.remove(shared) }
          try makeShared(shared, layout, files)
        }
        if ownFacts == nil { try files.replaceSymlink(own, with: target) }
      }
    }
  }

  /// `../../shared/logs`, from `releases/ID`: what is moved as a whole still fits.
  static func target(of path: TreePath) -> String {
    let up = String(repeating: "../", count: path.depth + 1)
    return "\(up)shared/\(String(validating: path.bytes, as: UTF8.self) ?? path.escaped)"
  }

  /// Directories below a setgid `shared/` are the group's to write in, as that is how the service is let.
  private func makeShared(_ path: String, _ layout: Layout, _ files: DurableFiles) throws(SystemError) {
    let top = try FileFacts.ifPresent(layout.shared)?.mode ?? 0o755
    try files.makeDirectories(path, mode: top & UInt32(S_ISGID) != 0 ? 0o2775 : 0o755)
  }

  private func refuseLinks(above path: TreePath, in top: String) throws(StepFailure) {
    var above = path.parent
    while !above.isTop {
      let name = "\(top)/\(above)"
      if let facts = try asFailure({ () throws(SystemError) in try FileFacts.ifPresent(name) }),
        facts.kind != .directory
      {
        throw StepFailure(
          .refused, "\(name) is a \(facts.kind.noun), so \(path) in it cannot be shared", next: "share \(above) instead"
        )
      }
      above = above.parent
    }
  }

  private func refuseHiding(_ name: String, own: String, shared: String, _ release: String) throws(StepFailure) {
    let hidden = try asFailure { () throws(SystemError) in try Self.hidden(own: own, by: shared) }
    guard let hidden else { return }
    throw StepFailure(
      .refused, "\(hidden.isTop ? name : "\(name)/\(hidden)") of the new release would be hidden by \(shared)",
      next: "copy it into \(shared), take it out of the repository, or take \(name) out of [deploy] shared")
  }

  /// The first thing in `own` that `shared` does not have. Empty files, such as .gitkeep, and directories hide nothing.
  static func hidden(own: String, by shared: String) throws(SystemError) -> TreePath? {
    let (mine, theirs) = (try FileFacts.of(own), try FileFacts.of(shared))
    if mine.kind == .file, mine.size == 0 { return nil }
    guard mine.kind == .directory else { return theirs.kind == .directory ? .top : nil }
    guard theirs.kind == .directory else { return .top }
    let there = try Descriptor.open(shared, flags: O_RDONLY | O_DIRECTORY)
    var first: TreePath?
    try TreeWalk.each(in: own) { (entry) throws(SystemError) in
      guard first == nil, entry.facts.kind != .directory else { return }
      if entry.facts.kind == .file, entry.facts.size == 0 { return }
      var facts = stat()
      if entry.path.withPointer({ fstatat(there.raw, $0, &facts, AT_SYMLINK_NOFOLLOW) }) != 0 { first = entry.path }
    }
    return first
  }
}
