import CLinux
import Glibc

/// Datagrams with descriptors and credentials on Unix sockets. Source: unix(7), cmsg(3), recvmsg(2).
enum UnixDatagram {
  /// The kernel passes at most SCM_MAX_FD descriptors in one message.
  static let descriptorLimit = 253

  static func makeSocket() throws(SystemdError) -> Int32 {
    let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard raw >= 0 else { throw SystemdError("make a datagram socket", errno: errno) }
    return raw
  }

  /// Sends one datagram without waiting; the descriptors stay the caller's. Returns errno, or nil when it left.
  static func send(
    _ bytes: [UInt8], descriptors: [Int32] = [], on socket: Int32, to address: UnixAddress?
  ) -> Int32? {
    withMessage(bytes, descriptors, to: address) { message in
      while sendmsg(socket, &message, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) < 0 {
        if errno != EINTR { return errno }
      }
      return nil
    }
  }

  /// Sends two datagrams without waiting, the descriptors with the second. Whoever is killed has sent both or none. Returns
  /// errno when not both left; the first may have.
  static func send(
    _ first: [UInt8], then second: [UInt8], descriptors: [Int32], on socket: Int32, to address: UnixAddress?
  ) -> Int32? {
    withMessage(first, [], to: address) { first in
      withMessage(second, descriptors, to: address) { second in
        switch cl_send_both(socket, &first, &second) {
        case 2: nil
        case ..<0: errno
        default: EAGAIN
        }
      }
    }
  }

  /// What sendmsg(2) takes; valid within `body`.
  private static func withMessage<Result>(
    _ bytes: [UInt8], _ descriptors: [Int32], to address: UnixAddress?, _ body: (inout msghdr) -> Result
  ) -> Result {
    guard let address else { return withMessage(bytes, descriptors, nil, 0, body) }
    return address.withSockaddr { name, length in
      withMessage(bytes, descriptors, UnsafeMutableRawPointer(mutating: name), length, body)
    }
  }

  private static func withMessage<Result>(
    _ bytes: [UInt8], _ descriptors: [Int32], _ name: UnsafeMutableRawPointer?, _ nameLength: socklen_t,
    _ body: (inout msghdr) -> Result
  ) -> Result {
    var control = descriptors.isEmpty ? [] : ControlMessage.descriptors(descriptors)
    return bytes.withUnsafeBytes { bytes in
      control.withUnsafeMutableBytes { control in
        var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        return withUnsafeMutablePointer(to: &part) { part in
          var message = msghdr()
          message.msg_name = name
          message.msg_namelen = nameLength
          message.msg_iov = part
          message.msg_iovlen = 1
          message.msg_control = control.isEmpty ? nil : control.baseAddress
          message.msg_controllen = control.count
          return body(&message)
        }
      }
    }
  }

  struct Received {
    var bytes: [UInt8]
    var pid: Int32?
    var uid: UInt32
    var gid: UInt32
    /// Close-on-exec; the receiver's to close.
    var descriptors: [Int32]
    /// The datagram or its descriptors were larger than the room for them: do not trust what is here.
    var isTruncated: Bool
  }

  /// One datagram, or nil when none waits. `capacity` bounds its size.
  static func receive(on socket: Int32, capacity: Int) throws(SystemdError) -> Received? {
    var control = [UInt8](repeating: 0, count: ControlMessage.receivingCapacity)
    var flags: Int32 = 0
    var controlLength = 0
    var failure: Int32?
    let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      control.withUnsafeMutableBytes { control in
        var part = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        withUnsafeMutablePointer(to: &part) { part in
          var message = msghdr()
          message.msg_iov = part
          message.msg_iovlen = 1
          message.msg_control = control.baseAddress
          message.msg_controllen = control.count
          var received: Int
          repeat {
            received = recvmsg(socket, &message, Int32(MSG_DONTWAIT) | Int32(MSG_CMSG_CLOEXEC))
          } while received < 0 && errno == EINTR
          if received < 0 { failure = errno }
          count = max(received, 0)
          flags = message.msg_flags
          controlLength = message.msg_controllen
        }
      }
    }
    if let failure {
      if failure == EAGAIN || failure == EWOULDBLOCK { return nil }
      throw SystemdError("receive a datagram", errno: failure)
    }
    let truncation = Int32(MSG_TRUNC) | Int32(MSG_CTRUNC)
    var answer = Received(
      bytes: bytes, pid: nil, uid: .max, gid: .max, descriptors: [], isTruncated: flags & truncation != 0)
    ControlMessage.read(control[..<min(controlLength, control.count)], into: &answer)
    return answer
  }
}

/// The layout of ancillary data; cmsg(3) has it as macros, which Swift does not see.
private enum ControlMessage {
  private static let headerSize = MemoryLayout<cmsghdr>.size
  private static let credentialsType: Int32 = 2  // SCM_CREDENTIALS, behind _GNU_SOURCE

  private static func aligned(_ size: Int) -> Int { (size + 7) & ~7 }

  /// Room for credentials and as many descriptors as a message can have.
  static let receivingCapacity =
    aligned(headerSize + 12) + aligned(headerSize + 4 * UnixDatagram.descriptorLimit) + aligned(headerSize)

  static func descriptors(_ descriptors: [Int32]) -> [UInt8] {
    let length = headerSize + 4 * descriptors.count
    var bytes = [UInt8](repeating: 0, count: aligned(length))
    bytes.withUnsafeMutableBytes { buffer in
      buffer.storeBytes(of: length, as: Int.self)
      buffer.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
      buffer.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 12, as: Int32.self)
      for (index, raw) in descriptors.enumerated() {
        buffer.storeBytes(of: raw, toByteOffset: headerSize + 4 * index, as: Int32.self)
      }
    }
    return bytes
  }

  static func read(_ control: ArraySlice<UInt8>, into answer: inout UnixDatagram.Received) {
    control.withUnsafeBytes { buffer in
      func word(_ offset: Int) -> Int32 { buffer.loadUnaligned(fromByteOffset: offset, as: Int32.self) }
      var start = 0
      while start + headerSize <= buffer.count {
        let length = buffer.loadUnaligned(fromByteOffset: start, as: Int.self)
        guard length >= headerSize, start + length <= buffer.count else { return }
        let data = start + headerSize
        if word(start + 8) == SOL_SOCKET {
          if word(start + 12) == Int32(SCM_RIGHTS) {
            for offset in stride(from: data, to: start + length - 3, by: 4) { answer.descriptors.append(word(offset)) }
          } else if word(start + 12) == credentialsType, length >= headerSize + 12 {
            answer.pid = word(data)
            answer.uid = UInt32(bitPattern: word(data + 4))
            answer.gid = UInt32(bitPattern: word(data + 8))
          }
        }
        start += aligned(length)
      }
    }
  }
}
