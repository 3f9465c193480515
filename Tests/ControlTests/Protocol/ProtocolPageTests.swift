import ControlProtocol
import Foundation
import JSON
import Testing

@testable import ControlServer

/// baton-protocol(7) and the code say the same, both ways.
@Suite struct ProtocolPageTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")

  private func text(of path: String) throws -> String {
    try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
  }

  /// From a heading (`.Sh` or `.Ss`) to the next one.
  private func part(_ heading: String) throws -> [String] {
    let lines = try text(of: "man/baton-protocol.7").split(separator: "\n").map(String.init)
    let start = try #require(lines.firstIndex { $0 == ".Ss \(heading)" || $0 == ".Sh \(heading)" }, "\(heading)")
    return Array(lines[(start + 1)...].prefix { !$0.hasPrefix(".Ss ") && !$0.hasPrefix(".Sh ") })
  }

  /// What stands behind each `.It MACRO`, with the lines up to the next item or the end of the list.
  private func items(_ heading: String, _ macro: String) throws -> [(name: String, body: [String])] {
    var items: [(name: String, body: [String])] = []
    var isOpen = false
    for line in try part(heading) {
      if line.hasPrefix(".It \(macro) ") {
        items.append((String(line.dropFirst(macro.count + 5)), []))
        isOpen = true
      } else if line == ".El" {
        isOpen = false
      } else if isOpen {
        items[items.count - 1].body.append(line)
      }
    }
    return items
  }

  private struct Declaration {
    let name: String
    /// As written, on one line.
    let inputs: String
    let inputNames: [String]
    let outputNames: [String]

    /// `NAME(INPUTS)` and, of a method, `-> (OUTPUTS)`.
    init(_ text: String) {
      let parts = text.components(separatedBy: "->")
      name = String(text.prefix { $0.isLetter })
      inputs = String(parts[0].drop { $0 != "(" }.dropFirst()).trimmingCharacters(in: CharacterSet(charactersIn: ") "))
      inputNames = Self.names(inputs)
      outputNames = parts.count > 1 ? Self.names(parts[1]) : []
    }

    private static func names(_ text: String) -> [String] {
      text.matches(of: /([A-Za-z]+):/).map { String($0.output.1) }
    }
  }

  /// What an interface declares as `kind`, in its order.
  private func declared(_ kind: String, _ interface: String) throws -> [Declaration] {
    var found: [String] = []
    var isOpen = false
    for line in try #require(Interface.description(of: interface)).split(separator: "\n") {
      let code = line.trimmingCharacters(in: .whitespaces)
      if code.hasPrefix("#") { continue }
      if line.hasPrefix("\(kind) ") {
        found.append(String(code.dropFirst(kind.count + 1)))
      } else if isOpen {
        found[found.count - 1] += " " + code
      } else {
        continue
      }
      let text = found[found.count - 1]
      isOpen = text.count { $0 == "(" } > text.count { $0 == ")" }
    }
    return found.map(Declaration.init)
  }

  // MARK: The control socket

  @Test(arguments: Interface.names) func methods(_ interface: String) throws {
    let listed = try items("Methods of \(interface)", "Li")
    let declared = try declared("method", interface)
    #expect(listed.map(\.name) == declared.map { "\($0.name)(\($0.inputs))" })
    for (item, method) in zip(listed, declared) {
      let route = try #require(Route.all.first { $0.method == "\(interface).\(method.name)" })
      let said = item.body.joined(separator: " ") + " "
      #expect(
        said.hasPrefix("Access: \(route.access.rawValue). Replies: \(method.outputNames.joined(separator: ", ")). "))
    }
  }

  @Test func errors() throws {
    let verdict = Sample.refused.json
    guard case .object(let members) = verdict else { return }
    let declared = try [Interface.service, "org.varlink.service"].flatMap { interface in
      try self.declared("error", interface).map { error in
        let isVerdict = error.inputNames == members.list.map(\.name)
        let inputs = isVerdict ? "the members of a verdict" : error.inputNames.joined(separator: ", ")
        return "\(interface).\(error.name)(\(inputs))"
      }
    }
    #expect(try items("Errors", "Li").map(\.name) == declared)
  }

  @Test func access() throws {
    let listed = try items("Who may call what", "Li")
    #expect(listed.map(\.name) == Access.allCases.map(\.rawValue))
    for (item, access) in zip(listed, Access.allCases) {
      #expect(item.body.first?.lowercased() == "\(access.holders).".lowercased())
    }
  }

  @Test func words() throws {
    func words<Word: JSONWord>(_ kind: Word.Type) -> [String] { kind.allCases.map(\.rawValue) }
    #expect(
      try items("Words", "Li").map(\.name) == words(StatusReport.ServiceState.self)
        + words(StatusReport.EngineState.self) + words(StatusReport.WorkerState.self)
        + words(StatusReport.HandoverPhase.self) + words(VerdictReport.Outcome.self))
  }

  @Test func limits() throws {
    let limits = ControlLimits()
    let ofServer = [
      "connections": "connections: \(limits.connections)",
      "connectionsOfOthers": "connections of all users but root: \(limits.connectionsOfOthers)",
      "connectionsPerUser": "connections of one user but root: \(limits.connectionsPerUser)",
      "message": "bytes of a call: \(limits.message)",
      "output": "bytes waiting for a caller that does not read: \(limits.output)",
      "patience": "seconds for a message to be complete, for a reply to be read, and between calls: "
        + "\(limits.patience.components.seconds)",
      "callsPerTurn": "calls of one connection answered before others have their turn: \(limits.callsPerTurn)",
      "burst": "calls of one user but root at once: \(limits.burst)",
      "callsPerSecond": "calls of one user but root a second, after that: \(limits.callsPerSecond)",
    ]
    #expect(Set(ofServer.keys) == Set(Mirror(reflecting: limits).children.compactMap(\.label)))
    let bridge = try text(of: "Sources/batond/ControlBridge.swift")
    let followers = try #require(bridge.firstMatch(of: /maxFollowers = ([0-9_]+)/)?.output.1)
    let others = [
      "depth of a call: \(JSON.Limits.call.depth)", "values in a call: \(JSON.Limits.call.values)",
      "callers that follow events: \(followers)", "events in a reply: \(Request.maximumEvents)",
      "events without a limit given: \(Request.defaultEvents)", "workers of an engine: \(Request.maximumWorkers)",
      "lines in a verdict: \(VerdictReport.maximumLines)",
      "bytes of a line in a verdict: \(VerdictReport.maximumLineBytes)",
    ]
    let listed = try part("Limits").prefix { $0 != ".El" }.filter { !$0.hasPrefix(".") }
    #expect(Set(listed) == Set(ofServer.values).union(others))
    #expect(JSON.Limits.call.bytes == limits.message)
  }

  // MARK: Workers

  @Test func variablesOfWorkers() throws {
    let listed = try items("Variables", "Ev").flatMap { $0.name.components(separatedBy: " , ") }
    let code = try text(of: "Sources/SupervisorRuntime/WorkerProcess.swift")
    let set = code.matches(of: /"((?:BATON|LISTEN|WATCHDOG|NOTIFY)_[A-Z]+|PORT)"/).map { String($0.output.1) }
    #expect(Set(listed) == Set(set) && listed.count == Set(listed).count)
  }

  @Test func notificationsOfWorkers() throws {
    let listed = try items("Notifications", "Li")
    let keys = listed.flatMap { $0.name.matches(of: /([A-Z_]+)=/).map { String($0.output.1) } }
    let parser = try text(of: "Sources/Systemd/Notify/NotificationParser.swift")
    #expect(Set(keys) == Set(parser.matches(of: /case "([A-Z_]+)"/).map { String($0.output.1) }))
    // What is said to be without effect has none, and the rest has.
    let workers = try text(of: "Sources/SupervisorRuntime/Workers.swift")
    let ignored = try #require(workers.firstMatch(of: /case (\.reloading[^:]*):\n\s+break/)?.output.1)
    let heard: Set = ["READY", "STATUS", "WATCHDOG", "BARRIER"]
    // The socket itself answers a barrier.
    #expect(ignored.split(separator: ",").count == Set(keys).subtracting(heard).count + 1)
    #expect(Set(listed.prefix(heard.count).map { String($0.name.prefix { $0 != "=" }) }) == heard)
  }

  @Test func numbersOfWorkers() throws {
    let contract = try text(of: "man/baton-protocol.7")
    let budget = try text(of: "Sources/SupervisorRuntime/Output/OutputBudget.swift")
    let lines = try #require(
      budget.firstMatch(of: /lines: Int = ([0-9_]+), per interval: Duration = .seconds\(([0-9]+)\)/))
    let count = lines.output.1.filter { $0 != "_" }
    #expect(contract.contains("may print \(count) lines in \(lines.output.2) seconds"))
    let splitter = try text(of: "Sources/Vocabulary/Output/LineSplitter.swift")
    let limit = try #require(splitter.firstMatch(of: /static let limit = ([0-9_]+)/)).output.1.filter { $0 != "_" }
    #expect(contract.contains("Lines above \(limit) bytes are cut"))
    let probe = try text(of: "Sources/SupervisorRuntime/Probes/HTTPProbe.swift")
    for field in ["User-Agent: baton-probe", "Connection: close"] {
      #expect(probe.contains(field) && contract.contains(".Li \(field)"))
    }
  }

  // MARK: systemd

  @Test func systemdIsTold() throws {
    let keys = try items("WHAT SYSTEMD IS TOLD", "Li").map { String($0.name.prefix { $0 != "=" }) }
    let said = [
      "READY": ".ready", "RELOADING": ".reloading(", "STOPPING": ".stopping", "STATUS": ".status(",
      "WATCHDOG": ".watchdog)", "EXTEND_TIMEOUT_USEC": ".extendTimeout(", "FDSTORE": "storeDescriptors(",
      "FDSTOREREMOVE": ".fileDescriptorRemove(",
    ]
    #expect(Set(keys) == Set(said.keys))
    let link = try text(of: "Sources/SupervisorRuntime/ManagerLink.swift")
    for word in said.values { #expect(link.contains(word), "\(word)") }
    let time = try #require(link.firstMatch(of: /extensionTime = Duration.seconds\(([0-9]+)\)/)).output.1
    let interval = try #require(link.firstMatch(of: /extensionInterval = Duration.seconds\(([0-9]+)\)/)).output.1
    let page = try part("WHAT SYSTEMD IS TOLD")
    #expect(page.contains { $0.hasPrefix("\(time) seconds more, every \(interval) seconds") })
  }
}
