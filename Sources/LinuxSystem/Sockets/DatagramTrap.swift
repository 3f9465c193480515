import CLinux
import Glibc

/// A filter on a UDP socket that throws away datagrams that begin with words that only we know, and lets all others
/// through: the kernel counts what it threw away, so that one of ours tells where it was steered to and no program reads
/// it. Source: socket(7), SO_ATTACH_FILTER; sock_diag(7), SK_MEMINFO_DROPS.
package struct DatagramTrap: Sendable {
  /// What a datagram must consist of to be caught.
  package let words: [UInt32]

  package init() {
    var random = SystemRandomNumberGenerator()
    words = (0..<4).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
  }

  package var bytes: [UInt8] { words.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } } }

  /// - Throws: EBUSY where a filter of somebody else is there, which is left alone.
  package func set(on socket: Descriptor) throws(SystemError) {
    let filter = instructions.map {
      cl_instruction(code: $0.code, if_true: $0.ifTrue, if_false: $0.ifFalse, value: $0.value)
    }
    let raw = socket.raw
    // One like ours is what a life left that was killed between set and remove.
    let there = cl_filter_length(raw)
    if there != 0, there != filter.count { throw SystemError("set a filter on", "fd \(raw)", errno: EBUSY) }
    try retrying("set a filter on", "fd \(raw)") { cl_attach_filter(raw, filter, filter.count) }
  }

  package static func remove(from socket: Descriptor) { _ = cl_detach_filter(socket.raw) }

  /// How many datagrams the kernel threw away there, for whatever reason; nil where it does not say.
  package static func dropped(at socket: Descriptor) -> UInt32? {
    let count = cl_dropped(socket.raw)
    return count < 0 ? nil : UInt32(truncatingIfNeeded: count)
  }

  private typealias Instruction = SteeringInstructions.Instruction

  /// The filter sees a datagram from its UDP header on, which has 8 bytes.
  private var instructions: [Instruction] {
    let length = UInt8(2 * words.count)
    let compare = words.enumerated().flatMap { place, word in
      // Each comparison that fails goes to the last instruction.
      [
        Instruction(code: 0x20, ifTrue: 0, ifFalse: 0, value: UInt32(8 + 4 * place)),
        Instruction(code: 0x15, ifTrue: 0, ifFalse: length - UInt8(2 * place + 1), value: word),
      ]
    }
    // A load behind the end of a short datagram would drop it: its length is looked at first.
    let isLong = [
      Instruction(code: 0x80, ifTrue: 0, ifFalse: 0, value: 0),
      Instruction(code: 0x35, ifTrue: 0, ifFalse: length + 1, value: UInt32(8 + 4 * words.count)),
    ]
    return isLong + compare + [
      Instruction(code: 0x06, ifTrue: 0, ifFalse: 0, value: 0),
      Instruction(code: 0x06, ifTrue: 0, ifFalse: 0, value: .max),
    ]
  }
}
