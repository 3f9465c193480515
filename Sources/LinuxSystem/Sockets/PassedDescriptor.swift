import CLinux

extension Descriptor {
  /// Sends bytes over a Unix stream socket with a descriptor beside the first of them; the other side gets a copy. How
  /// many bytes went, nil when there is no room now. Source: unix(7), SCM_RIGHTS.
  package func send(_ bytes: [UInt8], passing passed: Descriptor) throws(SystemError) -> Int? {
    let (socket, other) = (raw, passed.raw)
    return try unlessWouldBlock("pass a descriptor over", "\(self)") { cl_send_with(socket, bytes, bytes.count, other) }
  }

  /// Receives into `buffer`: how many bytes, 0 at the end, nil when there is nothing now; and the descriptor that came
  /// beside them. Of several the first is kept and the others are closed.
  package func receive(into buffer: inout [UInt8]) throws(SystemError) -> (count: Int, passed: Descriptor?)? {
    let socket = raw
    var passed: Int32 = -1
    let count = try unlessWouldBlock("read from", "\(self)") {
      buffer.withUnsafeMutableBytes { cl_receive_with(socket, $0.baseAddress, $0.count, &passed) }
    }
    let descriptor = passed >= 0 ? Descriptor(owning: passed) : nil
    return count.map { ($0, descriptor) }
  }
}
