internal import JSON

/// Cuts a byte stream into Varlink messages: each is JSON followed by one NUL byte (varlink.org, "Protocol").
///
/// Bytes are looked at once, whatever the size of the pieces they come in, and no message larger than the limit is ever
/// held.
package struct MessageSplitter {
  package enum Failure: Error, Hashable, Sendable {
    /// The stream has no end of message where one must be: nothing after it can be trusted.
    case tooLong(limit: Int)
  }

  private let limit: Int
  private var bytes: [UInt8] = []
  /// Where the first message not yet taken begins.
  private var start = 0
  /// Bytes before this hold no NUL that was not taken.
  private var scanned = 0
  /// The NUL of the first message not yet taken, once found.
  private var end: Int?

  package init(limit: Int) { self.limit = limit }

  /// Bytes held: of whole messages not yet taken, and of the one that is still coming.
  package var count: Int { bytes.count - start }

  /// Whether a message has begun whose end is not here.
  package var isInsideMessage: Bool { count > 0 }

  /// Whether ``next()`` has one to give.
  package var hasMessage: Bool {
    mutating get {
      if end != nil { return true }
      guard let found = bytes.withUnsafeBufferPointer({ $0[scanned...].firstIndex(of: 0) }) else {
        scanned = bytes.count
        return false
      }
      end = found
      return true
    }
  }

  package mutating func append(_ piece: some Collection<UInt8>) {
    if start == bytes.count {
      bytes.removeAll(keepingCapacity: bytes.capacity <= 65_536)
      start = 0
      scanned = 0
    } else if start > 65_536, start > bytes.count / 2 {
      bytes.removeFirst(start)
      scanned -= start
      end = end.map { $0 - start }
      start = 0
    }
    bytes.append(contentsOf: piece)
  }

  /// The next whole message without its NUL; nil when more bytes are needed.
  package mutating func next() throws(Failure) -> ArraySlice<UInt8>? {
    guard hasMessage, let end else {
      guard count <= limit else { throw .tooLong(limit: limit) }
      return nil
    }
    guard end - start <= limit else { throw .tooLong(limit: limit) }
    let message = bytes[start..<end]
    start = end + 1
    scanned = start
    self.end = nil
    return message
  }
}
