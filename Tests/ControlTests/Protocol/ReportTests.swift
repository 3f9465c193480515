import ControlProtocol
import JSON
import Testing
import Vocabulary

@Suite struct ReportTests {
  /// Through bytes, as the wire does it.
  private func roundTrip<Value: JSONValue & Equatable>(_ value: Value) throws {
    let bytes = Array(value.json.text.utf8)
    let back = try Value(json: try JSON(text: bytes, limits: .reply))
    #expect(back == value)
    #expect(back.json.text == value.json.text)
  }

  @Test(arguments: [Sample.serving, Sample.troubled, Sample.starting])
  func statusReport(_ report: StatusReport) throws { try roundTrip(report) }

  @Test(arguments: VerdictReport.Outcome.allCases)
  func verdict(_ outcome: VerdictReport.Outcome) throws {
    var verdict = Sample.refused
    verdict.outcome = outcome
    try roundTrip(verdict)
    #expect(verdict.json["exitCode"] == ExitStatus(outcome).code.json)
    try roundTrip(Sample.done)
  }

  @Test(arguments: Sample.events) func event(_ event: EventReport) throws { try roundTrip(event) }

  @Test func smallOnes() throws {
    try roundTrip(Progress(operation: OperationID("reload-1"), text: "web 1 of 4 ready"))
    try roundTrip(EnvironmentVariable(name: "PATH", value: "/bin"))
    try roundTrip(EnvironmentVariable(name: "PATH", value: nil))
  }

  @Test func errorNamesTheField() throws {
    var report = Sample.serving
    report.engines[0].workers[1].label = "x"
    let text = report.json.text.replacing("\"label\":\"x\"", with: "\"label\":7")
    let json = try JSON(text: Array(text.utf8), limits: .reply)
    #expect(throws: ShapeError(field: "engines[0].workers[1].label", problem: "expected a string, found an integer")) {
      try StatusReport(json: json)
    }
  }

  @Test func verdictIsBounded() {
    let verdict = VerdictReport(
      operation: OperationID("x"), act: .reload, outcome: .failed, what: "", holds: "",
      lastLines: (1...100).map { "\($0) " + String(repeating: "é", count: 2_000) }, took: .zero)
    #expect(verdict.lastLines.count == VerdictReport.maximumLines)
    #expect(verdict.lastLines.last?.hasPrefix("100 ") == true)
    #expect(verdict.lastLines.allSatisfy { $0.utf8.count <= VerdictReport.maximumLineBytes })
  }
}
