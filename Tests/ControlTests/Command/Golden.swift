import Foundation
import Testing

/// Files that say what a command prints. With BATON_GOLDEN=write they are written anew, to be read before they are kept.
enum Golden {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Golden")

  static func expect(_ text: String, is name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = folder.appending(path: name)
    if ProcessInfo.processInfo.environment["BATON_GOLDEN"] == "write" {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let expected = try String(contentsOf: file, encoding: .utf8)
    #expect(text == expected, "compare with Tests/ControlTests/Golden/\(name)", sourceLocation: sourceLocation)
  }
}
