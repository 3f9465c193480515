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
    package var withheld: UInt32 = 0o022
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
    var extractor = try Extractor(directory, extraction, subject: source.name, watch: watch)
    let summary = try read(&extractor, progress: progress)
    try extractor.finish()
    watch = extractor.watch
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

/// What may still be put on a file system: asked once, then counted, so that a bomb ends before the disk is full.
private struct Budget {
  private let subject: String
  private let free: UInt64
  private let inodes: UInt64?
  private var used: UInt64 = 0
  private var made: UInt64 = 0

  init(of directory: String, reserve: UInt64, subject: String) throws(ArchiveError) {
    var facts = statvfs()
    do throws(SystemError) {
      try retrying("look at the file system of", directory) { statvfs(directory, &facts) }
    } catch { throw ArchiveError(subject, .system(error)) }
    self.subject = subject
    let space = UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
    free = space > reserve ? space - reserve : 0
    // Some file systems have no fixed number of inodes and say 0.
    inodes = facts.f_files == 0 ? nil : UInt64(facts.f_favail)
  }

  mutating func take(_ bytes: UInt64) throws(ArchiveError) {
    used = used.addingReportingOverflow(bytes).overflow ? .max : used + bytes
    made += 1
    if used > free { throw ArchiveError(subject, .noSpace(needed: used, free: free)) }
    if let inodes, made > inodes {
      throw ArchiveError(subject, .tooMuch("\(made) files where the file system has room for \(inodes)"))
    }
  }
}

/// Unpacks what it is shown.
private struct Extractor<Watch: ArchiveVisitor>: ArchiveVisitor {
  private var writer: TreeWriter
  private let extraction: ArchiveReader.Extraction
  private var budget: Budget
  private let subject: String
  private(set) var watch: Watch
  /// The file under way, under the path it gets.
  private var file: (descriptor: Descriptor, entry: ArchiveEntry)?
  private var written: UInt64 = 0

  init(_ directory: String, _ extraction: ArchiveReader.Extraction, subject: String, watch: Watch) throws(ArchiveError)
  {
    writer = try TreeWriter(directory, subject: subject, withheld: extraction.withheld)
    budget = try Budget(of: directory, reserve: extraction.reserve, subject: subject)
    self.extraction = extraction
    self.subject = subject
    self.watch = watch
  }

  mutating func begin(_ original: ArchiveEntry) throws(ArchiveError) -> Bool {
    guard let path = extraction.place(original) else { return false }
    var entry = original
    entry.path = path
    _ = try watch.begin(entry)
    switch entry.kind {
    case .file(let size):
      try budget.take(size)
      file = (try writer.file(entry), entry)
      written = 0
      return true
    case .directory:
      if !path.isTop { try budget.take(0) }
      try writer.directory(entry)
    case .link(let target):
      try budget.take(0)
      try writer.link(entry, to: target, mayLeadOutside: extraction.mayLeadOutside(path, target))
    case .hardLink(let target):
      let source = ArchiveEntry(path: target, kind: .file(size: 0), mode: 0, modified: 0)
      guard let place = extraction.place(source) else {
        throw ArchiveError(subject, .unsafe(entry: "\(path)", why: "is a hard link to what is left out"))
      }
      try writer.hardLink(entry, to: place)
    }
    return false
  }

  mutating func data(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ArchiveError) {
    guard let file else { return }
    try watch.data(bytes, at: offset)
    var done = 0
    do throws(SystemError) {
      while done < bytes.count {
        done += try retrying("write", "\(file.entry.path)") {
          pwrite(file.descriptor.raw, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int(offset) + done)
        }
      }
    } catch { throw ArchiveError(subject, .system(error)) }
    written = offset + UInt64(bytes.count)
  }

  mutating func end(_ original: ArchiveEntry) throws(ArchiveError) {
    guard let (descriptor, entry) = file else { return }
    file = nil
    if case .file(let size) = entry.kind, written < size {
      // A sparse file that ends in a hole.
      do throws(SystemError) {
        try retrying("set the size of", "\(entry.path)") { ftruncate(descriptor.raw, off_t(size)) }
      } catch { throw ArchiveError(subject, .system(error)) }
    }
    try watch.end(entry)
    try writer.finish(descriptor, entry)
  }

  mutating func finish() throws(ArchiveError) { try writer.finish() }
}
