import Testing

@testable import baton

@Suite struct StyledLineTests {
  private func lines(_ text: String, _ width: Int?, indent: Int) -> [String] {
    StyledLine(text).wrapped(to: width, indent: indent).map { $0.text(width: nil, colour: false) }
  }

  @Test func longLinesBreakBetweenWords() {
    #expect(
      lines("next:  correct the file and check it", 20, indent: 7) == [
        "next:  correct the", "       file and", "       check it",
      ])
    #expect(lines("short", 20, indent: 7) == ["short"])
    #expect(lines("not on a terminal", nil, indent: 7) == ["not on a terminal"])
    // A path is to be copied.
    #expect(lines("a /very/long/path/indeed b", 10, indent: 2) == ["a", "  /very/long/path/indeed", "  b"])
    #expect(lines("          note", 10, indent: 10) == ["          note"])
  }

  @Test func nothingIsLostAndColoursStay() {
    var line = StyledLine("warning", .yellow)
    line.append("   the clock of this host stands before the last operation")
    for width in 1...70 {
      let parts = line.wrapped(to: width, indent: 10)
      let text = parts.map { $0.text(width: nil, colour: false) }.joined(separator: " ")
      #expect(text.split(separator: " ") == line.text(width: nil, colour: false).split(separator: " "))
      #expect(parts[0].text(width: nil, colour: true).hasPrefix("\u{1B}[33mwarning\u{1B}[0m"))
    }
  }
}
