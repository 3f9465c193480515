import ControlProtocol
import Foundation
import JSON
import Testing
import Vocabulary

/// The `.varlink` files, the embedded texts and the Swift types say the same.
@Suite struct InterfaceTests {
  static let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../Sources")

  @Test(arguments: Interface.names) func embeddedTextIsTheFile(_ name: String) throws {
    let file = try String(contentsOf: Self.sources.appending(path: "ControlProtocol/\(name).varlink"), encoding: .utf8)
    #expect(Interface.description(of: name) == file)
  }

  /// `kind NAME (…)` of the description, without comments.
  private func declaration(_ kind: String, _ name: String) throws -> String {
    let text = try #require(Interface.description(of: Interface.service))
      .split(separator: "\n").filter { !$0.drop(while: \.isWhitespace).hasPrefix("#") }.joined(separator: "\n")
    let start = try #require(text.range(of: "\(kind) \(name) (") ?? text.range(of: "\(kind) \(name)("))
    let rest = text[start.lowerBound...]
    let end = ["\n\ntype ", "\n\nmethod ", "\n\nerror ", "\ntype ", "\nmethod ", "\nerror "]
      .compactMap { rest.range(of: $0)?.lowerBound }.min()
    return String(rest[..<(end ?? rest.endIndex)])
  }

  private func fields(_ declaration: String) -> [String] {
    declaration.matches(of: /([A-Za-z]+):/).map { String($0.output.1) }
  }

  /// The names a value writes, in order.
  private func written(_ value: some JSONValue) -> [String] {
    guard case .object(let members) = value.json else { return [] }
    return members.list.map(\.name)
  }

  @Test func typesHaveTheFieldsAndOrderOfTheDescription() throws {
    let report = Sample.troubled
    #expect(fields(try declaration("method", "Status")) == written(report))
    #expect(fields(try declaration("type", "Supervisor")) == written(report.supervisor))
    var engine = report.engines[0]
    engine.command = ["./serve"]
    #expect(fields(try declaration("type", "Engine")) == written(engine))
    #expect(fields(try declaration("type", "Lease")) == written(try #require(report.leases?.first)))
    #expect(fields(try declaration("type", "Socket")) == written(report.sockets[0]))
    #expect(fields(try declaration("type", "Listener")) == written(report.sockets[0].listeners[0]))
    #expect(fields(try declaration("type", "Handover")) == written(try #require(report.handover)))
    #expect(fields(try declaration("type", "LastHandover")) == written(try #require(report.lastHandover)))
    let worker = Sample.worker("a.1", pid: 1, generation: 1, since: 1, status: "x", lastExit: "y")
    #expect(fields(try declaration("type", "Worker")) == written(worker))
    #expect(fields(try declaration("type", "Verdict")) == written(Sample.refused))
    #expect(fields(try declaration("error", "Failed")) == written(Sample.refused))
    let held = Progress.Held(generation: GenerationID(2), release: ReleaseID("r"), limit: .seconds(1))
    #expect(fields(try declaration("type", "Held")) == written(held))
    #expect(
      fields(try declaration("type", "Progress"))
        == written(Progress(operation: OperationID("o"), text: "t", held: held)))
    let event = try #require(Sample.events.first { $0.pid != nil })
    var full = event
    (full.release, full.operation) = (Sample.serving.release, Sample.serving.lastHandover?.operation)
    #expect(fields(try declaration("type", "Event")) == written(full))
  }

  @Test func wordsOfTheDescriptionAreTheWordsOfTheCode() throws {
    func words<Word: JSONWord>(_ kind: Word.Type) -> String {
      "(" + kind.allCases.map(\.rawValue).joined(separator: ", ") + ")"
    }
    let text = try #require(Interface.description(of: Interface.service))
    #expect(text.contains("state: \(words(StatusReport.ServiceState.self))"))
    #expect(text.contains("state: \(words(StatusReport.EngineState.self))"))
    #expect(text.contains("state: \(words(StatusReport.WorkerState.self))"))
    #expect(text.contains("phase: \(words(StatusReport.HandoverPhase.self))"))
    #expect(text.contains("handover: \(words(StatusReport.HandoverKind.self))"))
    #expect(text.contains("stage: \(words(StatusReport.Stage.self))"))
    #expect(text.contains("outcome: \(words(VerdictReport.Outcome.self))"))
    #expect(text.contains("act: \(words(VerdictReport.Act.self))"))
  }

  @Test func everyMethodAndErrorIsDescribed() throws {
    var described: Set<String> = []
    for name in Interface.names {
      let text = try #require(Interface.description(of: name))
      for match in text.matches(of: /\n(?:method|error) ([A-Za-z]+)/) { described.insert("\(name).\(match.output.1)") }
    }
    #expect(described == Set(Route.all.map(\.method) + ControlError.Kind.allCases.map(\.rawValue)))
  }
}
