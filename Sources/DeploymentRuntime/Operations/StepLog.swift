internal import CLinux
package import Deployment
internal import Glibc
internal import JSON
internal import Ledger
internal import LinuxSystem
package import Vocabulary

/// The records of one operation: a line of JSON each, on the disk before anything that hangs on it is done. This file is
/// the truth for recovery.
///
/// - Whoever works on the operation holds a flock on it, so that others see whether somebody does.
/// - Room for the records of a whole way back is set aside beforehand: a full disk stops nothing half-way. It is filled
///   with blanks, which are no line: what is written over them needs no change of the file's size or blocks, so that
///   fdatasync(2) waits for the data alone and not for the file system's journal. The record of the end cuts them off.
/// - A line that was cut off by a crash is not there.
package final class StepLog {
  package let path: String
  package private(set) var lines: [LogLine]
  private let file: Descriptor
  private let effects: Effects
  /// Bytes that are known to be whole lines.
  private var size: Int64
  /// What follows them may be the rest of a line whose write failed.
  private var hasRest: Bool

  /// Bytes set aside. The way back takes less than 4 KiB; failures carry lines of programs.
  static let reserve: Int64 = 65_536
  /// A file with more than this is not one of ours.
  static let limit = 16 << 20

  private init(path: String, file: Descriptor, lines: [LogLine], size: Int64, hasRest: Bool, effects: Effects) {
    self.path = path
    self.file = file
    self.lines = lines
    self.size = size
    self.hasRest = hasRest
    self.effects = effects
  }

  package var entries: [Entry] { lines.map(\.entry) }

  package static func path(_ layout: Layout, _ id: OperationID) -> String { "\(layout.operation(id))/steps.jsonl" }

  // MARK: Opening

  /// Makes the operation's directory, unless it is there, and its log.
  /// - Throws: `busy` when another process works on this operation.
  package static func create(_ layout: Layout, _ id: OperationID, effects: Effects) throws(StepFailure) -> StepLog {
    let directory = layout.operation(id)
    let path = Self.path(layout, id)
    let files = DurableFiles(effects, operation: id)
    do throws(SystemError) {
      try files.makeDirectories(layout.deploys, mode: 0o750)
      try files.makeDirectory(directory, mode: 0o750)
      let file = try effects.perform(.write, path, planned: Descriptor(owning: -1)) { () throws(SystemError) in
        let file = try Descriptor.open(path, flags: O_RDWR | O_CREAT, mode: 0o640)
        try setAside(file, path)
        try retrying("write", path) { fsync(file.raw) }
        return file
      }
      try files.syncDirectory(directory)
      return try taken(path, file, effects)
    } catch {
      throw failure(error)
    }
  }

  private static func setAside(_ file: Descriptor, _ path: String) throws(SystemError) {
    guard try retrying("look at", path, { lseek(file.raw, 0, SEEK_END) }) == 0 else { return }
    // Where the file system cannot set room aside there is none to be had.
    guard cl_reserve(file.raw, reserve) == 0 else { return }
    do throws(SystemError) {
      try writeAll([UInt8](repeating: blank, count: Int(reserve)), to: file, path)
    } catch { try retrying("cut", path) { ftruncate(file.raw, 0) } }
  }

  private static let blank = UInt8(ascii: " ")

  /// Takes up the log of an operation that has one.
  package static func open(_ layout: Layout, _ id: OperationID, effects: Effects) throws(StepFailure) -> StepLog {
    let path = Self.path(layout, id)
    do throws(SystemError) {
      return try taken(path, try Descriptor.open(path, flags: O_RDWR), effects)
    } catch {
      throw failure(error)
    }
  }

  private static func failure(_ error: SystemError) -> StepFailure {
    error.errno == EWOULDBLOCK
      ? StepFailure(.busy, "another process works on this operation (\(error.subject))")
      : StepFailure(.refused, error)
  }

  private static func taken(_ path: String, _ file: Descriptor, _ effects: Effects) throws(SystemError) -> StepLog {
    guard effects.mode == .act else {
      return StepLog(path: path, file: file, lines: [], size: 0, hasRest: false, effects: effects)
    }
    try retrying("lock", path) { flock(file.raw, LOCK_EX | LOCK_NB) }
    let bytes = try readAll(file, path, limit: limit)
    let reading = read(bytes)
    let hasRest = bytes[Int(reading.size)...].contains { $0 != blank }
    return StepLog(
      path: path, file: file, lines: reading.lines, size: reading.size, hasRest: hasRest, effects: effects)
  }

  // MARK: Writing

  /// On the disk when it returns. After an error nobody knows whether it is; the next one overwrites it.
  package func append(_ entry: Entry) throws(StepFailure) {
    let line = LogLine(number: (lines.last?.number ?? 0) + 1, time: .now(), entry: entry)
    var bytes: [UInt8] = []
    line.json.write(to: &bytes)
    bytes.append(UInt8(ascii: "\n"))
    let subject = "\(path): \(entry.word)\(entry.step.map { " \($0.rawValue)" } ?? "")"
    do throws(SystemError) {
      let isLast = if case .ended = entry { true } else { false }
      try effects.perform(.record, subject) { () throws(SystemError) in try put(bytes, isLast: isLast) }
    } catch {
      throw StepFailure(.failed, error)
    }
    size += effects.mode == .act ? Int64(bytes.count) : 0
    lines.append(line)
  }

  private func put(_ bytes: [UInt8], isLast: Bool) throws(SystemError) {
    let hadRest = hasRest
    hasRest = true
    var rest = bytes[...]
    while !rest.isEmpty {
      let offset = Int(size) + bytes.count - rest.count
      rest = rest.dropFirst(
        try retrying("write", path) { rest.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, offset) } })
    }
    let end = Int(size) + bytes.count
    if isLast {
      try retrying("cut", path) { ftruncate(file.raw, end) }
    } else if hadRest {
      try blankOut(from: end)
    }
    try retrying("write", path) { fdatasync(file.raw) }
    hasRest = false
  }

  private func blankOut(from start: Int) throws(SystemError) {
    let size = Int(try retrying("look at", path) { lseek(file.raw, 0, SEEK_END) })
    var rest = [UInt8](repeating: Self.blank, count: max(0, size - start))[...]
    while !rest.isEmpty {
      rest = rest.dropFirst(
        try retrying("write", path) {
          rest.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, size - rest.count) }
        })
    }
  }

  // MARK: Reading

  /// Whole lines up to the first that is none, and their bytes. What follows was cut off.
  package static func read(_ bytes: [UInt8]) -> (lines: [LogLine], size: Int64) {
    var lines: [LogLine] = []
    var start = 0
    // What is set aside is not looked through for the end of a line.
    while start < bytes.count, bytes[start] == UInt8(ascii: "{"),
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
    {
      guard let line = line(bytes[start..<end]), line.number == lines.count + 1 else { break }
      lines.append(line)
      start = end + 1
    }
    return (lines, Int64(start))
  }

  private static func line(_ bytes: ArraySlice<UInt8>) -> LogLine? {
    let limits = JSON.Limits(bytes: 1 << 20, values: 20_000)
    guard let json = try? JSON(text: bytes, limits: limits) else { return nil }
    return try? LogLine(json: json)
  }

  /// What is recorded, without taking it up; nothing when there is no log.
  package static func peek(_ layout: Layout, _ id: OperationID) -> [LogLine] {
    guard let bytes = try? readFile(path(layout, id), limit: limit) else { return [] }
    return read(bytes).lines
  }

  /// Whether a process works on this operation now.
  package static func isAlive(_ layout: Layout, _ id: OperationID) -> Bool {
    guard let file = try? Descriptor.open(path(layout, id), flags: O_RDONLY) else { return false }
    return flock(file.raw, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }
}

extension RecordTime {
  private static let boot = Ledger.bootID()

  static func now() -> RecordTime {
    RecordTime(
      wall: RealTime.microseconds(), boot: boot.isEmpty ? nil : Boot(id: boot, instant: .now()))
  }
}

/// fsync of a directory: the names in it are on the disk. Source: fsync(2).
func syncDirectory(_ path: String) throws(SystemError) {
  let directory = try Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY)
  try retrying("sync", path) { fsync(directory.raw) }
}
