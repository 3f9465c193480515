import ControlProtocol
import Foundation
import Testing

/// The table of exit statuses in baton(1) is the one of the code; the rest of the page is compared in Tests/ProcessTests.
@Suite struct CommandPageTests {
  @Test func exitStatuses() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../man/baton.1")
    let lines = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
    let section = lines.drop { $0 != ".Sh EXIT STATUS" }.dropFirst().prefix { !$0.hasPrefix(".Sh ") }
    let said = section.filter { $0 != ".El" && !$0.hasPrefix(".Bl ") }.map(String.init)
    #expect(said == ExitStatus.allCases.flatMap { [".It \($0.code)", $0.meaning] })
  }
}
