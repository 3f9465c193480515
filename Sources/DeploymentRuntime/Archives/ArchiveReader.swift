internal import Glibc
package import LinuxSystem

/// Where an archive comes from.
package enum ArchiveSource {
  case path(String)
  /// Read from where it stands to its end: a file, a pipe, standard input. `name` is what messages call it.
  case descriptor(Descriptor, name: String)
  /// These parts of a file, as if they followed each other.
  case parts(String, [ArchivePart])

  package var name: String {
    switch self {
    case .path(let path), .parts(let path, _): path
    case .descriptor(_, let name): name
    }
  }
}

/// Frames of an archive that are a stream by themselves.
package struct ArchivePart: Hashable, Sendable {
  package var bytes: Range<UInt64>
  /// The entry that must begin where they do; nil where any may.
  package var first: TreePath?
}

/// Takes what an archive holds, entry by entry, in the archive's order.
package protocol ArchiveVisitor {
  /// - Returns: whether the data of a file is wanted.
  mutating func begin(_ entry: ArchiveEntry) throws(ArchiveError) -> Bool
  /// Data of the file that began last. What is between two offsets is zeros. The bytes are valid only inside.
  mutating func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ArchiveError)
  /// The file that began last has all its data.
  mutating func end(_ entry: ArchiveEntry) throws(ArchiveError)
}

/// Reads tar archives (ustar, pax, GNU; gzip, zstd, xz, bzip2 or plain) from a path or a descriptor: lists, checks, and
/// unpacks them safely as the current user. For backups, for `--from`, and for the output of `git archive`.
///
/// Whatever is in the archive, this holds: no path is absolute or has `..`; there are no devices, FIFOs, sockets, setuid
/// or setgid files; no entry is there twice; entries, bytes and free space are bounded; the end is there. Anything else
/// ends with an ``ArchiveError`` that names the entry. Source: tar(5), libarchive's archive_read(3).
package struct ArchiveReader {
  let source: ArchiveSource
  private let limits: ArchiveLimits
  private let abort: Descriptor?

  package init(_ source: ArchiveSource, limits: ArchiveLimits = ArchiveLimits(), abort: Descriptor? = nil) {
    self.source = source
    self.limits = limits
    self.abort = abort
  }

  /// Shows the whole archive to `visitor`. A path can be read again and again, a descriptor once.
  /// `progress` is told after each entry how many bytes of the archive itself were read so far.
  @discardableResult
  package func read(
    _ visitor: inout some ArchiveVisitor, progress: (UInt64) -> Void = { _ in }
  ) throws(ArchiveError) -> ArchiveSummary {
    var parts: [ArchivePart] = []
    if case .parts(_, let some) = source { parts = some }
    let firsts = Set(parts.compactMap(\.first))
    var places: [TreePath: UInt64] = [:]
    let stream = try ArchiveStream(try open(), subject: source.name, limits: limits, abort: abort, parts: parts)
    var summary = ArchiveSummary()
    while let entry = try stream.next() {
      summary.entries += 1
      if firsts.contains(entry.path) { places[entry.path] = stream.place }
      var declared: UInt64 = 0
      if case .file(let size) = entry.kind {
        declared = size
        // Before a byte of it is written.
        guard summary.bytes + min(size, 1 << 62) <= limits.bytes else {
          throw ArchiveError(source.name, .tooMuch("unpacked, more than \(limits.bytes) bytes"))
        }
      }
      if try visitor.begin(entry) {
        try stream.data { (bytes, offset) throws(ArchiveError) in try visitor.data(bytes, at: offset) }
        try visitor.end(entry)
      }
      summary.bytes += declared
      progress(stream.bytesTaken)
    }
    for (index, part) in parts.enumerated() {
      guard let first = part.first, places[first] != stream.place(ofPart: index) else { continue }
      throw ArchiveError(source.name, .damaged("the part at \(part.bytes.lowerBound) does not begin with \(first)"))
    }
    return summary
  }

  /// Reads the whole archive and hands over its entries without their data.
  @discardableResult
  package func list(
    _ body: (ArchiveEntry) throws(ArchiveError) -> Void = { (_) throws(ArchiveError) in }
  ) throws(ArchiveError) -> ArchiveSummary {
    try withoutActuallyEscaping(body) { (body) throws(ArchiveError) in
      var lister = Lister(body: body)
      return try read(&lister)
    }
  }

  private struct Lister: ArchiveVisitor {
    let body: (ArchiveEntry) throws(ArchiveError) -> Void
    func begin(_ entry: ArchiveEntry) throws(ArchiveError) -> Bool {
      try body(entry)
      return false
    }
    func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {}
    func end(_ entry: ArchiveEntry) {}
  }

  private func open() throws(ArchiveError) -> Descriptor {
    do throws(SystemError) {
      switch source {
      case .descriptor(let descriptor, _): return descriptor
      case .path(let path), .parts(let path, _):
        // Not to wait for a writer of a FIFO; reads of files know no O_NONBLOCK.
        let file = try Descriptor.open(path, flags: O_RDONLY | O_NONBLOCK)
        var facts = stat()
        try retrying("look at", path) { fstat(file.raw, &facts) }
        if facts.st_mode & S_IFMT == S_IFDIR { throw SystemError("read", path, errno: EISDIR) }
        // A FIFO that nobody ever writes to has no end.
        guard facts.st_mode & S_IFMT == S_IFREG else { throw SystemError("read", path, errno: EINVAL) }
        return file
      }
    } catch { throw ArchiveError(source.name, .system(error)) }
  }
}
