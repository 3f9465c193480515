import ControlProtocol
import Testing
import Vocabulary

@testable import baton

@Suite struct StatusTextTests {
  private func screen(_ report: StatusReport, width: Int? = 80, height: Int? = 24, colour: Bool = false) -> [String] {
    StatusText(report: report, now: Sample.now).lines(height: height).map { $0.text(width: width, colour: colour) }
  }

  @Test(arguments: [("serving", Sample.serving), ("troubled", Sample.troubled), ("starting", Sample.starting)])
  func isOneScreen(_ name: String, _ report: StatusReport) throws {
    let lines = screen(report)
    #expect(lines.count < 24)
    #expect(lines.allSatisfy { $0.count <= 80 })
    try Golden.expect(lines.joined(separator: "\n") + "\n", is: "status-\(name).txt")
  }

  /// What a person looks for is there without colour.
  @Test func statesAreWords() {
    let text = screen(Sample.troubled, width: nil, height: nil).joined(separator: "\n")
    for word in [
      "handover", "12 → 14 (release 2026-11-21.1) proving", "waiting", "degraded 0/1", "starting", "failed",
      "web.2 exited with 3",
    ] {
      #expect(text.contains(word), "\(word)")
    }
    #expect(!text.contains("\u{1B}"))
  }

  @Test func whatIsNotCountedIsNotShownAsNone() {
    var report = Sample.troubled
    report.cutsUncounted = 1
    report.drains?[0].connections = nil
    var text = screen(report, width: nil, height: nil).joined(separator: "\n")
    #expect(text.contains("generation 11, connections not counted, cut in"))
    #expect(text.contains("cut       connections of 1 killed process were not counted, since the start"))
    report.connectionsCut = 3
    report.cutsUncounted = 2
    text = screen(report, width: nil, height: nil).joined(separator: "\n")
    #expect(
      text.contains("3 connections of workers that were killed; those of 2 others were not counted, since the start"))
  }

  @Test func colourChangesNothingButColour() {
    let coloured = screen(Sample.troubled, colour: true).map { $0.replacing(/\u{1B}\[[0-9]+m/, with: "") }
    #expect(coloured == screen(Sample.troubled))
    #expect(screen(Sample.troubled, colour: true).contains { $0.contains("\u{1B}[") })
  }

  /// A hundred workers of whom one is restless: it is shown, the others are counted. Everything elsewhere.
  @Test func smallScreensShowWhatIsWorthIt() {
    var report = Sample.serving
    report.engines[0].workers = (1...100).map {
      Sample.worker("web.\($0)", pid: $0, generation: 12, since: 60, restarts: $0 == 57 ? 3 : 0)
    }
    let small = screen(report)
    #expect(small.count < 24)
    #expect(small.contains { $0.contains("99 workers") && $0.contains("4.6G") })
    #expect(small.contains { $0.contains("web.57") })
    #expect(screen(report, height: nil).count > 100)
  }

  /// A worker must not be able to write to the operator's terminal.
  @Test func textOfWorkersIsHarmless() {
    let unsafe = screen(Sample.troubled, width: nil).joined().unicodeScalars.filter {
      $0.value < 0x20 || $0.value == 0x7F
    }
    #expect(unsafe.isEmpty)
    #expect(plain("a\u{1B}]0;title\u{7}b\u{9B}31m\u{202E}\r\nc") == "a·]0;title·b·31m···c")
    #expect(plain("größer → ok") == "größer → ok")
  }

  @Test func linesAreCutBeforeTheyAreColoured() {
    var line = StyledLine("green", .green)
    line.append(" and more")
    #expect(line.text(width: 8, colour: true) == "\u{1B}[32mgreen\u{1B}[0m a…")
    #expect(line.text(width: 3, colour: true) == "\u{1B}[32mgr\u{1B}[0m…")
    #expect(line.text(width: 14, colour: false) == "green and more")
  }

  @Test(arguments: [
    (Duration.milliseconds(999), "0s"), (.seconds(61), "1m1s"), (.seconds(3_600), "1h"), (.seconds(5_400), "1h30m"),
    (.seconds(266_400), "3d2h"), (.seconds(-5), "0s"),
  ])
  func ages(_ duration: Duration, _ text: String) { #expect(Ages.text(duration) == text) }

  @Test func tookIsShort() {
    #expect(Ages.took(.microseconds(150_511)) == "150ms")
    #expect(Ages.took(.milliseconds(1_254)) == "1.25s")
    #expect(Ages.took(.seconds(123)) == "2m3s")
  }
}
