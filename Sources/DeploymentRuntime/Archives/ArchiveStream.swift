internal import CArchive
internal import Glibc
internal import LinuxSystem

/// A tar archive, read once from its start to its end: unpacked on a thread of its own, entry by entry here.
///
/// Takes ustar, pax and GNU tar; gzip, zstd, xz, bzip2 or no compression. Not Sendable: one thread reads it.
final class ArchiveStream {
  private let subject: String
  private let limits: ArchiveLimits
  private let input: Descriptor
  private let pump: OpaquePointer
  private let archive: OpaquePointer
  private var count = 0
  private var isOpen = false

  /// Reading ends, with ``ArchiveError/Reason/aborted``, as soon as `abort` is readable. With `parts`, of a file, only those
  /// are read.
  init(
    _ input: Descriptor, subject: String, limits: ArchiveLimits, abort: Descriptor?, parts: [ArchivePart] = []
  ) throws(ArchiveError) {
    guard let archive = archive_read_new() else {
      throw ArchiveError(subject, .system(SystemError("read", subject, errno: ENOMEM)))
    }
    let ranges = parts.map { ca_part(offset: $0.bytes.lowerBound, length: UInt64($0.bytes.count)) }
    guard let pump = ca_pump_start(input.raw, abort?.raw ?? -1, ranges, ranges.count) else {
      let number = errno
      archive_read_free(archive)
      throw ArchiveError(subject, .system(SystemError("start a thread to read", subject, errno: number)))
    }
    self.subject = subject
    self.limits = limits
    self.input = input
    self.archive = archive
    self.pump = pump
    archive_read_support_format_tar(archive)
  }

  deinit {
    archive_read_free(archive)
    ca_pump_end(pump)
  }

  /// Bytes of the archive itself read so far.
  var bytesTaken: UInt64 { ca_pump_taken(pump) }

  /// Where the entry that came last begins in what is unpacked.
  var place: UInt64 { UInt64(max(0, archive_read_header_position(archive))) }

  /// Where a part does; once there is no next entry.
  func place(ofPart index: Int) -> UInt64 { ca_pump_part_start(pump, index) }

  /// The next entry, or nil at a sound end. The data of the one before is passed over if nobody read it.
  func next() throws(ArchiveError) -> ArchiveEntry? {
    if !isOpen {
      isOpen = true
      if ca_pump_open(pump, archive) != ARCHIVE_OK { throw trouble(opening: true) }
    }
    var raw: OpaquePointer?
    let answer = archive_read_next_header(archive, &raw)
    if answer == ARCHIVE_EOF {
      try finish()
      return nil
    }
    guard answer == ARCHIVE_OK || answer == ARCHIVE_WARN && isAboutNames, let raw else {
      throw trouble(opening: count == 0)
    }
    count += 1
    guard count <= limits.entries else {
      throw ArchiveError(subject, .tooMuch("more than \(limits.entries) entries"))
    }
    return try entry(raw)
  }

  /// In the locale "C", which is what a program has that asks for no other, libarchive does not convert names in pax
  /// headers: it warns and gives their bytes as they are. Any other locale would make them NFC, which are other files.
  private var isAboutNames: Bool {
    archive_error_string(archive).map { String(cString: $0).contains("can't be converted") } ?? false
  }

  /// The data of the current entry, in order; gaps of sparse files are passed over. The bytes are valid only inside.
  func data(_ body: (UnsafeRawBufferPointer, UInt64) throws(ArchiveError) -> Void) throws(ArchiveError) {
    while true {
      var bytes: UnsafeRawPointer?
      var size = 0
      var offset: la_int64_t = 0
      let answer = archive_read_data_block(archive, &bytes, &size, &offset)
      if answer == ARCHIVE_EOF { return }
      guard answer == ARCHIVE_OK, offset >= 0 else { throw trouble(opening: false) }
      if size > 0 { try body(UnsafeRawBufferPointer(start: bytes, count: size), UInt64(offset)) }
    }
  }

  private func entry(_ raw: OpaquePointer) throws(ArchiveError) -> ArchiveEntry {
    guard let name = Self.bytes(archive_entry_pathname(raw)) else {
      throw ArchiveError(subject, .unsafe(entry: "entry \(count)", why: "has no name, or one that cannot be read"))
    }
    let path = try checked(name, of: name)
    let mode = UInt32(archive_entry_perm(raw))
    let kind = try kind(of: raw, name, path)
    if kind != .directory, mode & 0o6000 != 0 { throw unsafe(name, "has setuid or setgid") }
    guard path.depth <= Unsafe.deepest else { throw unsafe(name, "is \(path.depth) directories deep") }
    // What no Int64 of nanoseconds can say is no time a file has.
    let seconds = max(-(1 << 33), min(1 << 33, Int64(archive_entry_mtime(raw))))
    let modified = seconds * 1_000_000_000 + Int64(archive_entry_mtime_nsec(raw))
    return ArchiveEntry(path: path, kind: kind, mode: mode & (kind == .directory ? 0o3777 : 0o777), modified: modified)
  }

  private func kind(of raw: OpaquePointer, _ name: [UInt8], _ path: TreePath) throws(ArchiveError) -> ArchiveEntry.Kind
  {
    if archive_entry_hardlink(raw) != nil {
      let target = Self.bytes(archive_entry_hardlink(raw)) ?? []
      return .hardLink(target: try checked(target, of: name, "is a hard link to \(EscapedText.escape(target)), which "))
    }
    let type = UInt32(archive_entry_filetype(raw))
    switch type {
    case S_IFREG:
      guard !path.isTop else { throw unsafe(name, "is a file without a name") }
      let size = archive_entry_size(raw)
      guard size >= 0 else { throw unsafe(name, "has a negative size") }
      return .file(size: UInt64(size))
    case S_IFDIR: return .directory
    case S_IFLNK: return .link(target: Self.bytes(archive_entry_symlink(raw)) ?? [])
    default: throw unsafe(name, "is \(Self.word(type))")
    }
  }

  private static func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8]? {
    text.map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
  }

  private static func word(_ type: UInt32) -> String {
    switch type {
    case S_IFCHR, S_IFBLK: "a device"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    default: "no file, directory or link"
    }
  }

  private func checked(
    _ path: [UInt8], of name: [UInt8], _ prefix: String = ""
  ) throws(ArchiveError) -> TreePath {
    guard let checked = TreePath(path) else { throw unsafe(name, prefix + Unsafe.why(path)) }
    return checked
  }

  private func unsafe(_ name: [UInt8], _ why: String) -> ArchiveError {
    ArchiveError(subject, .unsafe(entry: EscapedText.escape(name), why: why))
  }

  /// After the last entry there are two blocks of zeros and nothing else, whatever the compression: without them the end
  /// may be missing. Source: tar(5).
  private func finish() throws(ArchiveError) {
    guard ca_pump_drain(pump) else { throw trouble(opening: false) }
    guard count > 0 else { throw ArchiveError(subject, .empty) }
    guard ca_pump_trailing_zeros(pump) >= 1_024 else {
      throw ArchiveError(subject, .damaged("it does not end in an end mark"))
    }
  }

  /// What the pump says goes before what libarchive made of its silence.
  private func trouble(opening: Bool) -> ArchiveError {
    var text = [CChar](repeating: 0, count: 256)
    let number = ca_pump_trouble(pump, &text, text.count)
    if number == ECANCELED { return ArchiveError(subject, .aborted) }
    if number > 0 { return ArchiveError(subject, .system(SystemError("read", subject, errno: number))) }
    let words = text.withUnsafeBufferPointer { String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self) }
    if bytesTaken == 0 { return ArchiveError(subject, .empty) }
    if !words.isEmpty { return ArchiveError(subject, .damaged(words)) }
    let said = archive_error_string(archive).map { String(cString: $0) } ?? "no reason given"
    return ArchiveError(subject, opening ? .notAnArchive(said) : .damaged(said))
  }
}
