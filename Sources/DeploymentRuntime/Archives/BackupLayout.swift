/// What lies where in a backup. `tar -xf` gives a person the same.
///
///     backup.txt         what it is: see BackupHead
///     release.manifest   the release's manifest, as it lies beside the release
///     release/           the release, without what is shared or excluded
///     shared/            of shared/ what [backup] shared names; SQLite databases as their own backup gave them
///     shared.manifest    what of shared/ is in it, with hashes; the last entry, so that the whole is there if it is
enum BackupLayout {
  static let head = TreePath(trusted: Array("backup.txt".utf8))
  static let manifest = TreePath(trusted: Array("release.manifest".utf8))
  static let release = TreePath(trusted: Array("release".utf8))
  static let shared = TreePath(trusted: Array("shared".utf8))
  static let sharedManifest = TreePath(trusted: Array("shared.manifest".utf8))

  /// The path below `top`, or nil where it lies elsewhere. The top itself is its own top.
  static func path(_ path: TreePath, below top: TreePath) -> TreePath? {
    guard path.isInside(top) else { return nil }
    return path == top ? .top : TreePath(trusted: Array(path.bytes.dropFirst(top.bytes.count + 1)))
  }

  static func path(_ path: TreePath, in top: TreePath) -> TreePath {
    path.isTop ? top : TreePath(trusted: top.bytes + [UInt8(ascii: "/")] + path.bytes)
  }
}
