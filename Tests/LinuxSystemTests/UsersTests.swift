import Glibc
import Testing

@testable import LinuxSystem

@Suite struct UsersTests {
  @Test func `a user has its numbers, its home and all its groups`() throws {
    let root = try #require(Users.user(named: "root"))
    #expect(root.id == 0 && root.group == 0 && root.home == "/root")
    #expect(Users.group(named: "root") == 0)
    let identity = try #require(Users.identity(user: "nobody", group: "mail"))
    let mail = try #require(Users.group(named: "mail"))
    #expect(identity.group == mail && identity.groups.contains(mail))
  }

  @Test func `who does not exist is nobody, not somebody else`() {
    #expect(Users.user(named: "no-such-user") == nil)
    #expect(Users.group(named: "no-such-group") == nil)
    #expect(Users.identity(user: "root", group: "no-such-group") == nil)
    #expect(Users.identity(user: "no-such-user", group: nil) == nil)
  }
}
