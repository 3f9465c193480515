internal import LinuxSystem
package import Vocabulary

/// What a release is: each of its files with its hash, where it came from, who made it and when. It lies beside the
/// release, is written last, and with it the release is complete: one without is left over from a deploy that was killed.
package struct Manifest: Hashable, Sendable {
  package struct Origin: Hashable, Sendable {
    package var release: ReleaseID
    package var operation: OperationID
    /// A repository, an archive, a directory.
    package var source: String
    /// As it was asked for: a branch, a tag.
    package var ref: String?
    /// In full.
    package var commit: String?
    package var who: String
    /// Seconds since 1970.
    package var made: Int64
    /// One line, as the build's compiler calls itself.
    package var toolchain: String?

    package init(
      release: ReleaseID, operation: OperationID, source: String, ref: String? = nil, commit: String? = nil,
      who: String,
      made: Int64, toolchain: String? = nil
    ) {
      self.release = release
      self.operation = operation
      self.source = source
      self.ref = ref
      self.commit = commit
      self.who = who
      self.made = made
      self.toolchain = toolchain
    }
  }

  package let origin: Origin
  /// What was shared or excluded when it was made, anchored at the tree's top: not part of it, whatever settings say now.
  package let outside: Set<TreePath>
  /// In the order of ``TreePath``.
  package let items: [TreeItem]
  /// The hash of the items' text: two releases with the same one are the same.
  package let treeHash: Digest

  /// More in one release is refused.
  package static let itemLimit = 500_000

  init(origin: Origin, outside: Set<TreePath>, items: [TreeItem], treeHash: Digest) {
    self.origin = origin
    self.outside = outside
    self.items = items
    self.treeHash = treeHash
  }

  /// Reads and hashes a whole tree, on all processors.
  package static func of(_ directory: String, _ origin: Origin, outside: Set<TreePath> = []) throws(ManifestError)
    -> Manifest
  {
    let listing: TreeListing
    do throws(SystemError) {
      listing = try TreeContents.list(directory, outside: outside, limits: TreeLimits(entries: itemLimit))
    } catch { throw .system(error) }
    return try of(directory, listing, origin, outside: outside)
  }

  /// As above, of a tree that was walked through already.
  package static func of(
    _ directory: String, _ listing: TreeListing, _ origin: Origin, outside: Set<TreePath>
  ) throws(ManifestError) -> Manifest {
    let items = try TreeContents.read(listing, in: directory)
    for item in items { if case .other(let noun) = item.content { throw .unfit(item.path, noun) } }
    let hash = Digest.of(ManifestText.lines(items))
    return Manifest(origin: origin, outside: outside, items: items, treeHash: hash)
  }

  /// What ``DurableFiles/write(_:to:)`` wrote; anything else, and anything incomplete, is `damaged`.
  package static func read(_ path: String) throws(ManifestError) -> Manifest { try ManifestText.read(path) }

  /// How a directory differs from this: none is what a release must be. Without `contents` only names, kinds, modes and
  /// sizes are looked at.
  package func differences(in directory: String, contents: Bool = true, limit: Int = 20) throws(ManifestError)
    -> TreeDifferences
  {
    let found = try TreeContents.read(
      directory, outside: outside, contents: contents, limits: TreeLimits(entries: Self.itemLimit + limit))
    return TreeDifferences(from: items, to: found, limit: limit)
  }

  /// All bytes of its files.
  package var contentSize: ByteCount {
    ByteCount(items.reduce(0) { if case .file(let size, _) = $1.content { $0 &+ size } else { $0 } })
  }
}

extension DurableFiles {
  /// Writes it beside its release, which is complete from then on: the tree must be on the disk.
  package func write(_ manifest: Manifest, to path: String) throws(ManifestError) {
    do { try write(ManifestText.text(of: manifest), to: path) } catch { throw .system(error) }
  }
}
