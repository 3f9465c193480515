internal import Glibc
internal import LinuxSystem

extension ArchiveReader {
  /// How an archive is unpacked.
  package struct Extraction {
    /// The path an entry gets, or nil to leave it out. For entries below a top directory, or some part of an archive.
    package var place: (ArchiveEntry) -> TreePath? = { $0.path }
    /// Links that may lead outside, by their new path and target: none, but those into `shared/`.
    package var mayLeadOutside: (_ path: TreePath, _ target: [UInt8]) -> Bool = { _, _ in false }
    /// Permissions that are taken away from every entry.
    package var withheld: UInt32 = 0o3022
    /// Bytes that stay free on the file system.
    package var reserve: UInt64 = 64 << 20
    package init() {}
  }

  /// Unpacks into `directory`, which must exist, be empty and be known to nobody else: it is not safe from somebody who
  /// changes it meanwhile. What a failed call leaves there is for the caller to remove. Nothing is synced: see syncfs(2).
  /// `watch` sees every entry that is unpacked, with its new path, and its data, before it is written.
  @discardableResult
  package func extract(
    into directory: String, _ extraction: Extraction = Extraction(), watch: inout some ArchiveVisitor,
    progress: (UInt64) -> Void = { _ in }
  ) throws(ArchiveError) -> ArchiveSummary {
    var watched = Watched(tree: try TreeExtractor(directory, extraction, subject: source.name), watch: watch)
    let summary = try read(&watched, progress: progress)
    try watched.tree.finish()
    watch = watched.watch
    return summary
  }

  @discardableResult
  package func extract(
    into directory: String, _ extraction: Extraction = Extraction()
  ) throws(ArchiveError) -> ArchiveSummary {
    var nobody = Nobody()
    return try extract(into: directory, extraction, watch: &nobody)
  }

  private struct Nobody: ArchiveVisitor {
    func begin(_ entry: ArchiveEntry) -> Bool { true }
    func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {}
    func end(_ entry: ArchiveEntry) {}
  }
}

/// Unpacks, and lets somebody watch.
private struct Watched<Watch: ArchiveVisitor>: ArchiveVisitor {
  var tree: TreeExtractor
  var watch: Watch

  mutating func begin(_ entry: ArchiveEntry) throws(ArchiveError) -> Bool {
    let wanted = try tree.begin(entry)
    if let placed = tree.placed { _ = try watch.begin(placed) }
    return wanted
  }

  mutating func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ArchiveError) {
    try watch.data(bytes, at: offset)
    try tree.data(bytes, at: offset)
  }

  mutating func end(_ entry: ArchiveEntry) throws(ArchiveError) {
    if let placed = tree.placed { try watch.end(placed) }
    try tree.end(entry)
  }
}
