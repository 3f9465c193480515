import Deployment
import Settings
import Vocabulary

/// The one directory that everything in an archive lies below, as `git archive --prefix` and the downloads of forges make
/// them. A release begins below it, unless the settings name paths in it.
///
/// The archive is read once more for this, before it is unpacked: whether a link in it leads outside hangs on where it
/// comes to lie.
enum LeadingDirectory {
  static func find(in archive: ArchiveSource, _ operation: Operation) throws(StepFailure) -> TreePath? {
    guard case .path = archive else { return nil }
    var top: TreePath?
    var isDeeper = false
    var isLeading = true
    do throws(ArchiveError) {
      try ArchiveReader(archive, abort: operation.abort).list { (entry) throws(ArchiveError) in
        if entry.path.isTop { return }
        let first = entry.path.first
        if entry.path.depth > 1 { isDeeper = true }
        let isDirectory = entry.kind == .directory || entry.path.depth > 1
        guard isDirectory, top == nil || top == first else {
          isLeading = false
          // Nothing more is to be learnt.
          throw ArchiveError(archive.name, .aborted)
        }
        top = first
      }
    } catch {
      if isLeading { throw error.failure }
    }
    guard isLeading, isDeeper, let top else { return nil }
    let deploy = operation.deploy
    var named = deploy.artifacts + deploy.shared + deploy.exclude
    if case .files(let directory)? = deploy.migrate?.source { named.append(directory) }
    return named.contains { TreePath($0)?.isInside(top) ?? false } ? nil : top
  }
}

extension TreePath {
  /// The name at the top of the way.
  fileprivate var first: TreePath {
    TreePath(trusted: Array(bytes.prefix { $0 != UInt8(ascii: "/") }))
  }

  /// The way from `other`, which this lies in; nil where it does not.
  func below(_ other: TreePath) -> TreePath? {
    guard isInside(other) else { return nil }
    return other.isTop ? self : TreePath(trusted: Array(bytes.dropFirst(other.bytes.count + 1)))
  }
}
