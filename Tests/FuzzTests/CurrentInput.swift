import Glibc

/// The input that is read at this moment, in a file: a trap ends the process, and this is what stays.
struct CurrentInput: ~Copyable {
  private static let room = 512 * 1_024
  private let path: String
  private let memory: UnsafeMutableRawPointer
  private var count = 0

  init(of format: Format) throws {
    let folder = getenv("BATON_FUZZ_FOLDER").map { String(cString: $0) } ?? "/tmp"
    path = "\(folder)/fuzz-\(format.name)"
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0, ftruncate(file, off_t(Self.room)) == 0,
      let memory = mmap(nil, Self.room, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), memory != MAP_FAILED
    else { throw Finding("\(path) cannot be written: \(String(cString: strerror(errno)))") }
    close(file)
    self.memory = memory
  }

  /// The length in eight bytes, then the input.
  mutating func note(_ bytes: [UInt8]) {
    count = min(bytes.count, Self.room - 8)
    memory.storeBytes(of: UInt64(count), as: UInt64.self)
    bytes.withUnsafeBytes {
      (memory + 8).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: count)
    }
  }

  /// Copies it to a file of its own, which outlives the test.
  borrowing func keep(_ number: Int) throws -> String {
    let kept = "\(path)-\(number)"
    guard let file = fopen(kept, "w") else { throw Finding("\(kept) cannot be written") }
    fwrite(memory + 8, 1, count, file)
    fclose(file)
    return kept
  }

  static func read(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw Finding("\(path) cannot be read") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
    return bytes
  }

  deinit {
    munmap(memory, Self.room)
    unlink(path)
  }
}
