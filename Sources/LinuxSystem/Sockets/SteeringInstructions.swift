import CLinux
import Glibc
package import Vocabulary

/// How a probe is told from a client.
package enum ProbeSign: Hashable, Sendable {
  /// SO_MARK of the probe's socket; needs CAP_NET_ADMIN or CAP_NET_RAW, and no client on another host can set it.
  case mark(UInt32)
  /// The probe's source address, 127.x.y.z: needs nothing, reaches IPv4 listeners only.
  case source([UInt8])
}

/// A classic BPF program that picks the listener of a SO_REUSEPORT group. Source: bpf(2) classic, linux/filter.h.
package struct SteeringInstructions: Hashable, Sendable {
  package struct Instruction: Hashable, Sendable {
    package let code: UInt16
    package let ifTrue: UInt8
    package let ifFalse: UInt8
    package let value: UInt32
  }

  package private(set) var all: [Instruction] = []

  package static func constant(_ place: Int) -> SteeringInstructions {
    var program = SteeringInstructions()
    program.answer(place)
    return program
  }

  /// Probes to `candidate`, everyone else to `serving`.
  package static func probes(_ sign: ProbeSign, candidate: Int, serving: Int) -> SteeringInstructions {
    var program = SteeringInstructions()
    program.answer(candidate, to: sign)
    program.answer(serving)
    return program
  }

  /// As ``probes(_:candidate:serving:)``, and `share` of the others to `candidate`, by the kernel's random numbers.
  package static func share(_ share: Share, _ sign: ProbeSign, candidate: Int, serving: Int) -> SteeringInstructions {
    var program = SteeringInstructions()
    program.answer(candidate, to: sign)
    program.add(Self.loadWord, Self.ancillary(56))
    program.add(Self.modulo, 10_000)
    program.add(Self.jumpIfAtLeast, share.basisPoints, ifTrue: 1, ifFalse: 0)
    program.answer(candidate)
    program.answer(serving)
    return program
  }

  // MARK: The machine

  private static let loadWord: UInt16 = 0x20
  private static let loadByte: UInt16 = 0x30
  private static let jumpIfEqual: UInt16 = 0x15
  private static let jumpIfAtLeast: UInt16 = 0x35
  private static let and: UInt16 = 0x54
  private static let modulo: UInt16 = 0x94
  private static let returnConstant: UInt16 = 0x06

  /// SKF_AD_OFF + what: 20 is the mark, 56 a random word.
  private static func ancillary(_ what: UInt32) -> UInt32 { 0xffff_f000 &+ what }
  /// SKF_NET_OFF + offset: a place in the IP header.
  private static func header(_ offset: UInt32) -> UInt32 { 0xfff0_0000 &+ offset }

  private mutating func add(_ code: UInt16, _ value: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) {
    all.append(Instruction(code: code, ifTrue: ifTrue, ifFalse: ifFalse, value: value))
  }

  private mutating func answer(_ place: Int) { add(Self.returnConstant, UInt32(clamping: place)) }

  private mutating func answer(_ place: Int, to sign: ProbeSign) {
    switch sign {
    case .mark(let mark):
      add(Self.loadWord, Self.ancillary(20))
      add(Self.jumpIfEqual, mark, ifTrue: 0, ifFalse: 1)
    case .source(let address):
      // The version first: the word at 12 also lies inside an IPv6 source address.
      add(Self.loadByte, Self.header(0))
      add(Self.and, 0xf0)
      add(Self.jumpIfEqual, 0x40, ifTrue: 0, ifFalse: 3)
      add(Self.loadWord, Self.header(12))
      add(Self.jumpIfEqual, address.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }, ifTrue: 0, ifFalse: 1)
    }
    answer(place)
  }

  /// Puts the program in force for the whole group `member` belongs to.
  /// - Throws: EINVAL when `member` is in no group yet (a listener that was made without SO_REUSEPORT).
  package func attach(to member: Descriptor) throws(SystemError) {
    let program = all.map {
      cl_instruction(code: $0.code, if_true: $0.ifTrue, if_false: $0.ifFalse, value: $0.value)
    }
    try retrying("steer", "\(member)") { cl_attach_steering(member.raw, program, program.count) }
  }
}
