import Glibc
import Testing

@testable import Systemd

struct ListenDescriptorsTests {
  private func parse(_ pid: String?, _ count: String?, _ names: String?) throws -> [String] {
    try ListenDescriptors.parse(pid: pid, count: count, names: names, ownPID: 10).map { "\($0.descriptor)=\($0.name)" }
  }

  @Test func namesGoWithNumbersFromThree() throws {
    #expect(try parse("10", "2", "http:admin") == ["3=http", "4=admin"])
    #expect(try parse("10", "2", nil) == ["3=unknown", "4=unknown"])
    #expect(try parse("10", "2", "http:") == ["3=http", "4="])
    #expect(try parse("10", "0", nil) == [])
  }

  @Test func whatIsMeantForAnotherProcessIsNotTaken() throws {
    #expect(try parse("11", "2", "http:admin") == [])
    #expect(try parse(nil, "2", "http:admin") == [])
    #expect(try parse("10", nil, nil) == [])
  }

  @Test func wrongCountsAreErrors() {
    #expect(throws: SystemdError.self) { try parse("10", "2", "http") }
    #expect(throws: SystemdError.self) { try parse("10", "1", "http:admin") }
    #expect(throws: SystemdError.self) { try parse("10", "-1", nil) }
    #expect(throws: SystemdError.self) { try parse("10", "99999999", nil) }
    #expect(throws: SystemdError.self) { try parse("10", "x", nil) }
    #expect(throws: SystemdError.self) { try parse("ten", "1", nil) }
  }
}

struct WatchdogTests {
  @Test func theIntervalIsHalfTheLimit() throws {
    let watchdog = try #require(try Watchdog.parse(microseconds: "10000000", pid: "10", ownPID: 10))
    #expect(watchdog.limit == .seconds(10))
    #expect(watchdog.interval == .seconds(5))
    #expect(try Watchdog.parse(microseconds: "5", pid: nil, ownPID: 10) != nil)
  }

  @Test func anotherProcessOrNoManagerMeansNone() throws {
    #expect(try Watchdog.parse(microseconds: "10000000", pid: "11", ownPID: 10) == nil)
    #expect(try Watchdog.parse(microseconds: nil, pid: nil, ownPID: 10) == nil)
  }

  @Test(arguments: ["0", "-5", "x", "", "99999999999999999999"]) func nonsenseIsAnError(text: String) {
    #expect(throws: SystemdError.self) { try Watchdog.parse(microseconds: text, pid: nil, ownPID: 10) }
  }
}
