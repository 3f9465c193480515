import LinuxSystem
import Testing
import Vocabulary

@testable import baton

struct PersonTests {
  private func name(_ user: UInt32, sudo: String? = nil, login: String? = nil) -> String {
    Person.name(user: user, sudo: sudo, login: login) { [0: "root", 7: "ann"][$0] }
  }

  @Test func thePersonBehindIsNamed() {
    #expect(name(0) == "root")
    #expect(name(0, sudo: "ben", login: "4294967295") == "ben as root")
    #expect(name(0, sudo: "ben") == "ben as root")
    #expect(name(7, sudo: "ben", login: "7") == "ann", "a variable is what anybody writes into it")
    #expect(name(0, login: "7\n") == "ann as root")
    #expect(name(7, login: "7") == "ann")
    // Nobody logged in: a unit, a cron job.
    #expect(name(0, login: "4294967295") == "root")
    #expect(name(9, login: "8") == "uid 8 as uid 9")
  }

  @Test func oneThatHangsDoesNotHoldUpTheOthers() {
    let began = Instant.monotonicNow()
    let commands = [["/bin/sleep", "60"], ["/bin/sh", "-c", "exit 3"], ["/nowhere"], ["/bin/sleep", "60"]]
    #expect(baton.Program.runTogether(commands, within: .milliseconds(200)) == [nil, 3, 127, nil])
    #expect(Instant.monotonicNow() - began < .seconds(20))
  }
}
