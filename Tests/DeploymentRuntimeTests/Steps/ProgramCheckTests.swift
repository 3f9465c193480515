import Deployment
import Glibc
import Testing

@testable import DeploymentRuntime

@Suite struct ProgramCheckTests {
  private let scratch = Scratch()
  private var layout: Layout { Layout(directory: scratch.directory) }

  private enum Kind { case fine, weak, refused }

  private func judge(_ command: [String], _ others: [String] = []) -> Kind {
    switch ProgramCheck.judge("shop.service", .init(commands: [command], others: others), layout) {
    case .fine: .fine
    case .weak: .weak
    case .refusal: .refused
    }
  }

  @Test func aUnitThatNamesCurrentRunsFromIt() {
    let current = layout.current
    #expect(judge(["\(current)/main"]) == .fine)
    #expect(judge(["/usr/bin/env", "\(current)/bin/main", "--listen", "80"]) == .fine)
    #expect(judge(["/usr/bin/node", "server.js"], [current]) == .fine)
    #expect(judge(["/opt/node/bin/node", "server.js"], ["!\(current)/web"]) == .fine)
    #expect(judge(["/usr/sbin/nginx", "--conf=\(current)/nginx.conf"]) == .fine)
    #expect(judge(["/opt/tool/run"], ["APP_HOME=\(current)"]) == .fine)
  }

  @Test func aUnitThatNamesAnotherPlaceIsRefusedWithTheRemedy() {
    let finding = ProgramCheck.judge("shop.service", .init(commands: [["/opt/old/main"]]), layout)
    guard case .refusal(let failure) = finding else {
      Issue.record("\(finding)")
      return
    }
    #expect(failure.kind == .refused && failure.what.contains("/opt/old/main"))
    #expect(failure.next?.contains(layout.current) == true && failure.next?.contains("baton adopt") == true)
    // One release for ever, and the tree that was never adopted.
    #expect(judge(["\(scratch.directory)/releases/20260101T000000Z-none-abcd/main"]) == .refused)
    #expect(judge(["\(scratch.directory)/server/main"], [layout.current]) == .refused)
    // A name that only begins alike, and a place above.
    #expect(judge(["\(layout.current)-old/main"]) == .refused)
  }

  @Test func whatCannotBeReadIsNoReasonToRefuse() {
    let loop = "\(scratch.directory)/loop"
    symlink("loop", loop)
    #expect(judge(["/opt/tool/run", "--conf=\(loop)/tool.conf"]) == .weak)
    #expect(judge(["/opt/tool/run", "--conf=\(scratch.directory)/none.conf"]) == .refused)
  }

  @Test func linksOnTheWayCount() throws {
    let (current, tree) = (layout.current, "\(scratch.directory)/server")
    mkdir("\(scratch.directory)/releases", 0o755)
    symlink("releases/x", current)
    symlink("current", tree)
    symlink(tree, "\(scratch.directory)/loop-free")
    symlink("loop", "\(scratch.directory)/loop")
    #expect(judge(["\(tree)/main"]) == .fine)
    #expect(judge(["\(scratch.directory)/loop-free/main"]) == .fine)
    #expect(judge(["\(scratch.directory)/loop/main"]) == .refused)
    unlink(tree)
    #expect(judge(["\(tree)/main"]) == .refused)
  }

  @Test func aProgramOfTheSystemMayBeToldElsewhere() throws {
    let file = "\(scratch.directory).conf"
    defer { unlink(file) }
    #expect(judge(["/usr/sbin/nginx"]) == .weak)
    #expect(judge(["/usr/sbin/nginx", "-c", file]) == .weak)
    let descriptor = open(file, O_WRONLY | O_CREAT, 0o644)
    let text = "root \(layout.current)/public;\n"
    _ = write(descriptor, text, text.utf8.count)
    close(descriptor)
    #expect(judge(["/usr/sbin/nginx", "-c", file]) == .fine)
  }
}
