import ControlProtocol
import JSON
import Testing
import Vocabulary

@Suite struct RouteTests {
  static let web = EngineName(unchecked: "web")
  static let requests: [Request] = [
    .getInfo, .getInterfaceDescription(interface: "io.baton.Service"), .status, .reload(wait: true),
    .reload(wait: false), .reload(wait: true, release: ReleaseID("20261121T120000Z-abc1234-0001"), hold: .seconds(300)),
    .commit(OperationID("reload-1")), .abort(OperationID("reload-1")),
    .probe(OperationID("reload-1"), socket: SocketName(unchecked: "http")), .restart(wait: false),
    .stop(now: true, wait: true),
    .scale(engine: web, workers: 3, wait: true), .signal(engine: web, signal: "HUP", worker: "web.2"),
    .signal(engine: web, signal: "10"),
    .upgrade(wait: true), .events(limit: 7, follow: true), .events(limit: 0, follow: false),
    .environment(engine: web, reveal: true), .environment(engine: web, reveal: false),
  ]

  @Test(arguments: requests) func everyRequestIsReadBack(_ request: Request) throws {
    let message = request.call.message
    let call = try Call(message: message.dropLast())
    #expect(try Route.of(call).request(of: call) == request)
  }

  @Test func everyMethodIsAsked() {
    let asked = Set(Self.requests.map(\.call.method))
    #expect(asked == Set(Route.all.map(\.method)))
    #expect(Route.all.count == asked.count)
  }

  /// The promise of access: only these are open to anyone.
  @Test func whatChangesIsNotForEveryone() throws {
    let open = Route.all.filter { $0.access == .read }.map(\.method)
    #expect(
      Set(open) == [
        "org.varlink.service.GetInfo", "org.varlink.service.GetInterfaceDescription", "io.baton.Service.Status",
        "io.baton.Service.Events", "io.baton.Service.Environment",
      ])
    let reveal = Request.environment(engine: Self.web, reveal: true)
    let names = Request.environment(engine: Self.web, reveal: false)
    let route = try Route.of(reveal.call)
    #expect(route.access(for: reveal) == .reveal)
    #expect(route.access(for: names) == .read)
  }

  @Test(
    arguments: [
      ("Status", ControlError.interfaceNotFound("Status")),
      ("com.example.Other.Do", .interfaceNotFound("com.example.Other")),
      ("io.baton.Service.Explode", .methodNotFound("io.baton.Service.Explode")),
      ("org.varlink.service.Explode", .methodNotFound("org.varlink.service.Explode")),
    ] as [(String, ControlError)])
  func unknownMethods(_ method: String, _ expected: ControlError) {
    #expect(throws: expected) { try Route.of(Call(method: method)) }
  }

  @Test(
    arguments: [
      ("io.baton.Service.Reload", ["wat": true], "wat"),
      ("io.baton.Service.Reload", ["wait": "yes"], "wait"),
      ("io.baton.Service.Reload", ["holdMs": 0], "holdMs"),
      ("io.baton.Service.Reload", ["holdMs": 3_600_001], "holdMs"),
      ("io.baton.Service.Reload", ["holdMs": 1_000, "wait": false], "wait"),
      ("io.baton.Service.Commit", [:], "operation"),
      ("io.baton.Service.Probe", ["operation": "x", "socket": "../http"], "socket"),
      ("io.baton.Service.Scale", ["workers": 1], "engine"),
      ("io.baton.Service.Scale", ["engine": "web"], "workers"),
      ("io.baton.Service.Scale", ["engine": "../web", "workers": 1], "engine"),
      ("io.baton.Service.Scale", ["engine": "web", "workers": -1], "workers"),
      ("io.baton.Service.Scale", ["engine": "web", "workers": 1_000_000], "workers"),
      ("io.baton.Service.Events", ["limit": 100_000], "limit"),
      ("io.baton.Service.Status", ["x": nil], "x"),
    ] as [(String, JSON, String)])
  func wrongParameters(_ method: String, _ parameters: JSON, _ field: String) throws {
    let call = Call(method: method, parameters: parameters)
    let route = try Route.of(call)
    #expect(throws: ControlError.invalidParameter(field)) { try route.request(of: call) }
  }

  /// Whoever holds a generation must hear of it, and its leaving must be seen.
  @Test func onlyAHoldNeedsACallerThatTakesSeveralReplies() throws {
    let hold = Request.reload(wait: true, hold: .seconds(1))
    #expect(try Route.of(hold.call).needsMore(hold))
    let plain = Request.reload(wait: true)
    #expect(try !Route.of(plain.call).needsMore(plain))
  }

  @Test(arguments: [
    "{}", "[]", "{\"method\":1}", "{\"method\":\"a\",\"parameters\":[]}", "{\"method\":\"a\",\"upgrade\":true}",
    "{\"method\":\"a\",\"more\":true,\"oneway\":true}", "GET / HTTP/1.1",
  ])
  func malformedCalls(_ text: String) {
    #expect(throws: Call.Malformed.self) { try Call(message: Array(text.utf8)) }
  }

  @Test(arguments: [
    ControlError.interfaceNotFound("a"), .methodNotFound("b"), .methodNotImplemented("c"), .invalidParameter("d"),
    .permissionDenied, .expectedMore, .notAllowed(method: "m", allowed: "root"),
    .busy(holder: "reload-1", since: Sample.now), .busy(holder: "x", since: nil), .unknownEngine("web"),
    .unknownSocket("http"), .notHeld(OperationID("reload-1")), .cannotProbe(socket: "http", reason: "shared"),
    .failed(Sample.refused),
  ])
  func errorsAreReadBack(_ error: ControlError) throws {
    let reply = try CallReply(json: error.reply.json)
    #expect(try ControlError(error: try #require(reply.error), parameters: reply.parameters) == error)
  }
}
