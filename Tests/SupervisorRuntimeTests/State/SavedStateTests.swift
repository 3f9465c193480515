import Glibc
import Leases
import LinuxSystem
import Settings
import Supervision
import Testing
import Vocabulary

@testable import SupervisorRuntime

/// What one image of batond leaves for the next is what the next one finds, or it is refused with a reason.
@Suite struct SavedStateTests {
  private static let file =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/SavedStates/state-1.json"

  /// The fixture: seed 1 as the program of its time wrote it.
  private func fixture() throws -> [UInt8] { try readFile(Self.file) }

  @Test(arguments: 1...200) func whatIsWrittenIsRead(seed: Int) throws {
    var dice = StateDice(seed: UInt64(seed))
    let state = try dice.state()
    let again = try SavedState(bytes: state.bytes)
    #expect(again == state)
    #expect(again.bytes == state.bytes)
  }

  /// It was written by the first version with this form. Never change the file: later versions must read it.
  @Test func theStateOfTheFirstVersionIsRead() throws {
    let state = try SavedState(bytes: try fixture())
    #expect(state.service.rawValue == "shop")
    #expect(state.core.serving == GenerationID(6))
    #expect(state.core.generations.keys.sorted() == [GenerationID(4), GenerationID(6)])
    #expect(state.core.nextGeneration == GenerationID(7))
    #expect(state.core.groups.count == 3)
    #expect(state.listeners.count == 9)
    #expect(state.workers.count == state.core.generations.values.flatMap { $0.engines.flatMap(\.workers) }.count)
    #expect(state.generations.last?.settings.engines.first?.environment["PATH"] == "/bin")
    #expect(state.history.unrecorded.count == 2)
    #expect(state.upgrade.from == "0.0.9")
  }

  /// It was written by the first version that knew leases. Never change the file: later versions must read it.
  @Test func theStateOfTheFirstVersionWithLeasesIsRead() throws {
    let bytes = try readFile(Self.file.replacing("state-1", with: "state-2"))
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("{\"format\":2,\"readableBy\":2,"), "not by one without")
    let state = try SavedState(bytes: bytes)
    let robots = LeaseName(unchecked: "robots")
    #expect(state.core.serving == GenerationID(6) && state.readableBy == 2)
    let leases = try #require(state.leases)
    #expect(leases.owner == "0123456789abcdef")
    guard case .redis(let url) = leases.settings.store else {
      Issue.record("\(leases.settings)")
      return
    }
    #expect(url.hasPrefix("redis://") && leases.settings.timeToLive > .zero && leases.settings.margin != nil)
    let until = BootInstant(nanoseconds: 123_456_789_012_345)
    #expect(leases.grants == [Grant(lease: robots, token: LeaseToken(.max - 5), provenUntil: until)])
    #expect(state.core.leases == [robots: LeaseStanding(isWanted: true, state: .permitted)])
    let engine = state.generations.last?.settings.engines.first { $0.lease == robots }
    #expect(engine?.standby == .warm)
    #expect(
      state.core.generations[GenerationID(6)]?.engines.contains { $0.plan.lease == robots && $0.plan.isWarm } == true)
    #expect(state.bytes == bytes, "and it is written as it was read")
  }

  @Test func whatIsAddedLaterDoesNotMatter() throws {
    let text = String(decoding: try fixture(), as: UTF8.self)
    let later = text.replacing("{\"format\":1,", with: "{\"format\":2,\"new\":{\"a\":[1]},")
    #expect(later != text)
    #expect(try SavedState(bytes: Array(later.utf8)) == (try SavedState(bytes: try fixture())))
  }

  @Test func oneThatNeedsALaterProgramIsRefused() throws {
    let text = String(decoding: try fixture(), as: UTF8.self).replacing("\"readableBy\":1", with: "\"readableBy\":3")
    #expect { try SavedState(bytes: Array(text.utf8)) } throws: {
      "\($0)".contains("needs a program that knows form 3")
    }
  }

  @Test func aStateThatIsCutOffIsRefused() throws {
    let bytes = try fixture()
    for count in stride(from: 0, to: bytes.count - 1, by: 97) {
      #expect(throws: StateError.self) { try SavedState(bytes: Array(bytes.prefix(count))) }
    }
  }

  /// A changed byte gives another state or a refusal, and never an end.
  @Test(arguments: 1...20) func aChangedByteDoesNoHarm(seed: Int) throws {
    let bytes = try fixture()
    var random = SplitMix64(seed: UInt64(seed))
    for _ in 0..<20 {
      var changed = bytes
      changed[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      do throws(StateError) { _ = try SavedState(bytes: changed) } catch { #expect(!error.description.isEmpty) }
    }
  }

  @Test(arguments: [
    ("\"serving\":6", "\"serving\":5", "serves"), ("\"nextGeneration\":7", "\"nextGeneration\":6", "comes next"),
    ("\"nextListener\":\"99\"", "\"nextListener\":\"3\"", "comes next"),
    (
      "\"rule\":{\"serving\":{\"address\":\"0.0.0.0:8000\",\"number\":2",
      "\"rule\":{\"serving\":{\"address\":\"0.0.0.0:8000\",\"number\":7", "contradict"
    ), ("\"random\":\"", "\"random\":\"-", "number in a string"),
    ("\"lock\":", "\"lock\":3,\"was\":", "twice"),
  ]) func partsThatContradictEachOtherAreRefused(old: String, new: String, word: String) throws {
    let text = String(decoding: try fixture(), as: UTF8.self)
    let changed = text.replacing(old, with: new, maxReplacements: 1)
    #expect(changed != text)
    #expect { try SavedState(bytes: Array(changed.utf8)) } throws: { "\($0)".contains(word) }
  }

  @Test func sealedMemoryCannotBeChangedAndOtherFilesAreNoState() throws {
    let memory = try SealedMemory.make("test", Array("hello".utf8))
    #expect(try SealedMemory.read(memory, limit: 5) == Array("hello".utf8))
    #expect(write(memory.raw, "x", 1) == -1 && errno == EPERM)
    #expect(ftruncate(memory.raw, 0) == -1)
    #expect(throws: SystemError.self) { try SealedMemory.read(memory, limit: 4) }
    let pipe = try Descriptor.pipe()
    #expect(throws: SystemError.self) { try SealedMemory.read(pipe.reader, limit: 5) }
    #expect(memory.isCloseOnExec)
  }
}
