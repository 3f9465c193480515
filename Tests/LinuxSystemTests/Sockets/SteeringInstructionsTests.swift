import Testing
import Vocabulary

@testable import LinuxSystem

/// The programs run by an interpreter of the few instructions they use: what each packet meets, also packets that a
/// test cannot send.
@Suite struct SteeringInstructionsTests {
  @Test func `everyone meets the one named`() {
    #expect(BPF.run(.constant(3), .v4(from: [10, 0, 0, 1])) == 3)
  }

  @Test func `a mark is recognised over IPv4 and IPv6, nothing else is`() {
    let program = SteeringInstructions.probes(.mark(0xDEAD_BEEF), candidate: 1, serving: 0)
    #expect(BPF.run(program, .v4(from: [10, 0, 0, 1], mark: 0xDEAD_BEEF)) == 1)
    #expect(BPF.run(program, .v6(from: Array(0..<16), mark: 0xDEAD_BEEF)) == 1)
    #expect(BPF.run(program, .v4(from: [10, 0, 0, 1])) == 0)
    #expect(BPF.run(program, .v4(from: [10, 0, 0, 1], mark: 0xDEAD_BEEE)) == 0)
  }

  @Test func `a source is recognised in IPv4 only, though an IPv6 source may hold the same four bytes in that place`() {
    let program = SteeringInstructions.probes(.source([127, 1, 2, 3]), candidate: 2, serving: 1)
    #expect(BPF.run(program, .v4(from: [127, 1, 2, 3])) == 2)
    #expect(BPF.run(program, .v4(from: [127, 1, 2, 4])) == 1)
    let stranger: [UInt8] = [0xFD, 0, 0, 0, 127, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 1]
    #expect(BPF.run(program, .v6(from: stranger)) == 1)
  }

  @Test(arguments: [0, 1, 499, 500, 501, 9_999, 10_000, 10_499, 4_294_960_499] as [UInt32])
  func `a share goes by the random number, in hundredths of a percent`(random: UInt32) {
    let program = SteeringInstructions.share(Share(clamping: 500), .mark(7), candidate: 1, serving: 0)
    #expect(BPF.run(program, .v4(from: [10, 0, 0, 1], random: random)) == (random % 10_000 < 500 ? 1 : 0))
    #expect(BPF.run(program, .v4(from: [10, 0, 0, 1], mark: 7, random: random)) == 1, "a probe is no lottery")
  }

  @Test func `no share and the whole are exactly that`() {
    for random: UInt32 in [0, 9_999, 5_000] {
      let none = SteeringInstructions.share(.none, .mark(7), candidate: 1, serving: 0)
      let whole = SteeringInstructions.share(.whole, .mark(7), candidate: 1, serving: 0)
      #expect(BPF.run(none, .v4(from: [10, 0, 0, 1], random: random)) == 0)
      #expect(BPF.run(whole, .v4(from: [10, 0, 0, 1], random: random)) == 1)
    }
  }
}

/// Classic BPF as linux/filter.h and the kernel's Documentation/networking/filter.rst have it.
enum BPF {
  struct Packet {
    var header: [UInt8]
    var mark: UInt32
    var random: UInt32

    static func v4(from source: [UInt8], mark: UInt32 = 0, random: UInt32 = 5_000) -> Packet {
      Packet(header: [0x45] + [UInt8](repeating: 0, count: 11) + source + [127, 0, 0, 1], mark: mark, random: random)
    }

    static func v6(from source: [UInt8], mark: UInt32 = 0, random: UInt32 = 5_000) -> Packet {
      let target = [UInt8](repeating: 0, count: 15) + [1]
      return Packet(header: [0x60] + [UInt8](repeating: 0, count: 7) + source + target, mark: mark, random: random)
    }
  }

  /// nil: an instruction that is unknown, or a jump or load out of bounds.
  static func run(_ program: SteeringInstructions, _ packet: Packet) -> UInt32? {
    var accumulator: UInt32 = 0
    var counter = 0
    while program.all.indices.contains(counter) {
      let instruction = program.all[counter]
      counter += 1
      switch instruction.code {
      case 0x20, 0x30:
        guard let value = load(instruction.value, words: instruction.code == 0x20, packet) else { return nil }
        accumulator = value
      case 0x54: accumulator &= instruction.value
      case 0x94: accumulator %= instruction.value
      case 0x15: counter += Int(accumulator == instruction.value ? instruction.ifTrue : instruction.ifFalse)
      case 0x35: counter += Int(accumulator >= instruction.value ? instruction.ifTrue : instruction.ifFalse)
      case 0x06: return instruction.value
      default: return nil
      }
    }
    return nil
  }

  private static func load(_ offset: UInt32, words: Bool, _ packet: Packet) -> UInt32? {
    if offset >= 0xFFFF_F000 { return [20: packet.mark, 56: packet.random][offset - 0xFFFF_F000] }
    guard offset >= 0xFFF0_0000 else { return nil }
    let start = Int(offset - 0xFFF0_0000)
    let bytes = packet.header.dropFirst(start).prefix(words ? 4 : 1)
    return bytes.count == (words ? 4 : 1) ? bytes.reduce(0) { $0 << 8 | UInt32($1) } : nil
  }
}
