import Leases
import LinuxSystem
import Settings
import Supervision
import Testing
import Vocabulary

@testable import SupervisorRuntime

/// What a crash leaves is what the next life finds, or it is refused with a reason.
@Suite struct CrashRecordTests {
  private func record(seed: UInt64) throws -> CrashRecord {
    var dice = StateDice(seed: seed)
    let state = try dice.state()
    var facts = CrashRecord.Facts(of: state.core)
    if seed % 2 == 0 {
      (facts.step, facts.candidate, facts.operation) = ("proving", state.core.nextGeneration, OperationID("reload-x-1"))
      facts.scaled = [CrashRecord.Scaled(engine: EngineName(unchecked: "web"), workers: 7)]
    }
    if seed % 5 == 0 { facts.cuts = Cuts(connections: 12, uncounted: 3) }
    if seed % 3 == 0 { facts.leaseOwner = "0123456789abcdef" }
    if seed % 6 == 0 {
      let robots = LeaseName(unchecked: "robots")
      facts.leaseWaits = [Wait(lease: robots, since: BootInstant(nanoseconds: 9_876_543_210), isTold: seed % 12 == 0)]
    }
    return CrashRecord(
      writer: "0.0.9", service: state.service, facts: facts,
      resolved: state.generations.first { $0.id == facts.pinned })
  }

  @Test(arguments: 1...100) func whatIsWrittenIsRead(seed: Int) throws {
    let record = try record(seed: UInt64(seed))
    let again = try CrashRecord(bytes: record.bytes)
    #expect(again == record)
    #expect(again.resolved != nil)
  }

  /// It was written by the first version with this form. Never change the file: later versions must read it.
  @Test func theRecordOfTheFirstVersionIsRead() throws {
    let file = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/SavedStates/crash-1.json"
    let record = try CrashRecord(bytes: try readFile(file))
    #expect(record.writer == "0.0.9" && record.service.rawValue == "shop")
    #expect(record.resolved?.id == record.facts.pinned && record.facts.pinned != nil)
    #expect(record.facts.groups.count == 3 && !record.facts.workers.isEmpty)
    #expect(record.facts.step == "proving" && record.facts.operation == OperationID("reload-x-1"))
    #expect(record.facts.scaled.map(\.workers) == [7])
    #expect(record.resolved?.scaled(record.facts.scaled).settings.engines.first?.workers == 7)
    let none = [CrashRecord.Scaled(engine: EngineName(unchecked: "web"), workers: 0)]
    #expect(record.resolved?.scaled(none).plan.engine(EngineName(unchecked: "web"))?.workers == 0)
    // One from before the numbers of workers were written.
    let text = String(decoding: record.bytes, as: UTF8.self)
    let earlier = text.replacing(",\"scaled\":[{\"engine\":\"web\",\"workers\":7}]", with: "")
    #expect(earlier != text)
    #expect(try CrashRecord(bytes: Array(earlier.utf8)).facts.scaled.isEmpty)
  }

  /// It was written by the first version that knew leases. Never change the file: later versions must read it.
  @Test func theRecordOfTheFirstVersionWithLeasesIsRead() throws {
    let file = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/SavedStates/crash-2.json"
    let bytes = try readFile(file)
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("{\"format\":2,\"readableBy\":2,"), "not by one without")
    let record = try CrashRecord(bytes: bytes)
    #expect(record.facts.leaseOwner == "0123456789abcdef" && record.facts.pinned == GenerationID(6))
    let engine = record.resolved?.settings.engines.first { $0.lease != nil }
    #expect(engine?.lease?.rawValue == "robots" && engine?.standby == .warm)
    guard case .redis? = record.resolved?.settings.leases.store else {
      Issue.record("where they lie")
      return
    }
    #expect(record.bytes == bytes)
  }

  @Test func oneThatNeedsALaterProgramIsRefused() throws {
    let text = String(decoding: try record(seed: 1).bytes, as: UTF8.self)
    let later = text.replacing("\"readableBy\":1", with: "\"readableBy\":3", maxReplacements: 1)
    #expect { try CrashRecord(bytes: Array(later.utf8)) } throws: { "\($0)".contains("written by version 0.0.9") }
  }

  @Test func whatIsAddedLaterDoesNotMatter() throws {
    let text = String(decoding: try record(seed: 1).bytes, as: UTF8.self)
    let later = text.replacing("{\"format\":2,", with: "{\"format\":3,\"new\":{\"a\":[1]},", maxReplacements: 1)
    #expect(try CrashRecord(bytes: Array(later.utf8)) == (try record(seed: 1)))
  }

  /// Cut off or changed it gives another record or a refusal, and never an end.
  @Test(arguments: 1...10) func whatIsDamagedDoesNoHarm(seed: Int) throws {
    let bytes = try record(seed: UInt64(seed)).bytes
    var random = SplitMix64(seed: UInt64(seed))
    for _ in 0..<100 {
      var changed = bytes
      changed[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      if random.next() % 2 == 0 { changed.removeLast(Int(random.next() % UInt64(bytes.count))) }
      do throws(StateError) { _ = try CrashRecord(bytes: changed) } catch { #expect(!error.description.isEmpty) }
    }
  }
}
