internal import Glibc
internal import LinuxSystem

/// Unpacks what it is shown into one directory.
struct TreeExtractor: ArchiveVisitor {
  private var writer: TreeWriter
  private let extraction: ArchiveReader.Extraction
  private var budget: Budget
  private let subject: String
  /// The entry shown last under the path it got; nil where it was left out.
  private(set) var placed: ArchiveEntry?
  /// The file under way, under the path it gets.
  private var file: (descriptor: Descriptor, entry: ArchiveEntry)?
  private var written: UInt64 = 0

  init(_ directory: String, _ extraction: ArchiveReader.Extraction, subject: String) throws(ArchiveError) {
    writer = try TreeWriter(directory, subject: subject, withheld: extraction.withheld)
    budget = try Budget(of: directory, reserve: extraction.reserve, subject: subject)
    self.extraction = extraction
    self.subject = subject
  }

  mutating func begin(_ original: ArchiveEntry) throws(ArchiveError) -> Bool {
    placed = nil
    guard let path = extraction.place(original) else { return false }
    var entry = original
    entry.path = path
    placed = entry
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
    try writer.finish(descriptor, entry)
  }

  mutating func finish() throws(ArchiveError) { try writer.finish() }
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
