import ControlClient
import ControlProtocol
import ControlServer
import Glibc
import JSON
import LinuxSystem
import Testing
import Vocabulary

@Suite struct ServerTests {
  private let web = EngineName(unchecked: "web")

  private func withServer(
    _ setting: ServerHost.Setting = .init(), _ body: (ServerHost) throws -> Void
  ) throws {
    let host = try ServerHost(setting)
    defer { host.stop() }
    try body(host)
  }

  @Test func answersAsTheInterfaceSays() throws {
    try withServer { host in
      let client = try ControlClient(path: host.path)
      #expect(try client.status() == Sample.serving)
      let info: JSON = try client.call(.getInfo)
      #expect(info["interfaces"] == ["org.varlink.service", "io.baton.Service"])
      let description: JSON = try client.call(.getInterfaceDescription(interface: "io.baton.Service"))
      #expect(description["description"] == Interface.description(of: "io.baton.Service")?.json)
      #expect(throws: ClientError.refused(.interfaceNotFound("a.b"))) {
        let _: JSON = try client.call(.getInterfaceDescription(interface: "a.b"))
      }
      #expect(throws: ClientError.refused(.unknownEngine("nope"))) {
        try client.environment(engine: EngineName(unchecked: "nope"), reveal: false)
      }
    }
  }

  @Test func socketIsOpenToAllAndGoneAfterwards() throws {
    let host = try ServerHost()
    var entry = stat()
    #expect(stat(host.path, &entry) == 0)
    #expect(entry.st_mode & 0o777 == 0o666)
    host.stop()
    #expect(stat(host.path, &entry) != 0)
  }

  @Test func pipelinedCallsAreAnsweredInOrder() throws {
    try withServer { host in
      let caller = try RawCaller(host.path)
      caller.send(.reload(wait: true))
      caller.send(.getInfo)
      caller.send(.environment(engine: web, reveal: false))
      // Nothing overtakes the act that is under way.
      while host.onLoop({ handler, _ in handler.replies.count }) != 1 {}
      host.onLoop { handler, _ in handler.replies.removeLast().finish(Sample.done) }
      #expect(try caller.reply()?.parameters["verdict"] == Sample.done.json)
      #expect(try caller.reply()?.parameters["vendor"] == "baton")
      #expect(try caller.reply()?.parameters["variables"] != nil)
    }
  }

  @Test func onewayCallsAreDoneAndNotAnswered() throws {
    try withServer { host in
      let caller = try RawCaller(host.path)
      caller.send(.scale(engine: web, workers: 2, wait: true), oneway: true)
      caller.send(.status, oneway: true)
      caller.send(.getInfo)
      #expect(try caller.reply()?.parameters["vendor"] == "baton")
      #expect(host.onLoop { handler, _ in handler.asked } == ["scale web=2"])
      host.onLoop { handler, _ in handler.replies.removeAll() }
      #expect(try ControlClient(path: host.path).status() == Sample.serving)
    }
  }

  @Test func onewayCallOfACallerThatLeavesAtOnceIsDone() throws {
    try withServer { host in
      var caller: RawCaller? = try RawCaller(host.path)
      caller?.send(.reload(wait: true), oneway: true)
      caller = nil
      #expect(host.waitForConnections(0))
      #expect(host.onLoop { handler, _ in handler.asked } == ["reload"])
    }
  }

  @Test func progressOnlyForThoseWhoTakeMore() throws {
    try withServer { host in
      for more in [true, false] {
        let caller = try RawCaller(host.path)
        caller.send(.reload(wait: true), more: more)
        while host.onLoop({ handler, _ in handler.replies.count }) != 1 {}
        host.onLoop { handler, _ in
          let reply = handler.replies.removeLast()
          reply.progress("web 1 of 4 ready")
          reply.finish(Sample.refused)
          reply.finish(Sample.done)
        }
        if more {
          let news = try #require(try caller.reply())
          #expect(news.continues && news.parameters["progress"]?["text"] == "web 1 of 4 ready")
        }
        let last = try #require(try caller.reply())
        #expect(last.error == "io.baton.Service.Failed" && !last.continues)
        #expect(try VerdictReport(json: last.parameters) == Sample.refused)
      }
    }
  }

  @Test func whoDoesNotWaitHearsThatItBegan() throws {
    try withServer { host in
      let verdict = try ControlClient(path: host.path).act(.reload(wait: false)) { _ in }
      #expect(verdict.outcome == .accepted && verdict.operation == OperationID("reload-1"))
    }
  }

  @Test func aReplyThatIsLostIsToldAsABug() throws {
    try withServer { host in
      let drop = Request.scale(engine: EngineName(unchecked: "drop"), workers: 1, wait: true)
      let verdict = try ControlClient(path: host.path).act(drop) { _ in }
      #expect(verdict.outcome == .needsPerson && verdict.what.contains("bug"))
    }
  }

  @Test func actGoesOnWhenItsCallerLeaves() throws {
    try withServer { host in
      var caller: RawCaller? = try RawCaller(host.path)
      caller?.send(.reload(wait: true), more: true)
      while host.onLoop({ handler, _ in handler.replies.count }) != 1 {}
      caller = nil
      #expect(host.waitForConnections(0))
      host.onLoop { handler, _ in
        let reply = handler.replies.removeLast()
        reply.progress("x")
        reply.finish(Sample.done)
      }
      #expect(try ControlClient(path: host.path).status() == Sample.serving)
    }
  }

  @Test func whoEndsItsInputStillHearsTheReply() throws {
    try withServer { host in
      let caller = try RawCaller(host.path)
      caller.send(.reload(wait: true))
      caller.send(.getInfo)
      caller.endInput()
      while host.onLoop({ handler, _ in handler.replies.count }) != 1 {}
      host.onLoop { handler, _ in handler.replies.removeLast().finish(Sample.done) }
      #expect(try caller.reply()?.parameters["verdict"] != nil)
      #expect(try caller.reply()?.parameters["vendor"] == "baton")
      #expect(try caller.reply() == nil)
    }
  }

  @Test func eventsOnceAndFollowed() throws {
    try withServer { host in
      var seen: [EventReport] = []
      try ControlClient(path: host.path).events(limit: 2, follow: false) {
        seen.append($0); return true
      }
      #expect(seen == Array(Sample.events.suffix(2)))

      let follower = try RawCaller(host.path)
      follower.send(.events(limit: 1, follow: true), more: true)
      #expect(try follower.reply()?.continues == true)
      host.onLoop { handler, _ in handler.sinks[0].emit(Sample.events[0]) }
      let news = try #require(try follower.reply())
      #expect(try EventsReply(json: news.parameters).events == [Sample.events[0]])
      host.onLoop { handler, _ in handler.sinks[0].close() }
      #expect(try follower.reply()?.continues == false)
      #expect(host.onLoop { handler, _ in handler.sinks[0].isOpen } == false)

      // To follow without taking several replies makes no sense.
      follower.send(.events(limit: 1, follow: true))
      #expect(try follower.reply()?.error == "org.varlink.service.ExpectedMore")
    }
  }

  @Test func sinkClosesWhenTheCallerLeaves() throws {
    try withServer { host in
      var follower: RawCaller? = try RawCaller(host.path)
      follower?.send(.events(limit: 1, follow: true), more: true)
      _ = try follower?.reply()
      follower = nil
      #expect(host.waitForConnections(0))
      #expect(host.onLoop { handler, _ in handler.sinks[0].isOpen } == false)
    }
  }

  @Test func serverThatEndsTellsThoseWhoWait() throws {
    let host = try ServerHost()
    let waiter = try RawCaller(host.path)
    waiter.send(.reload(wait: true))
    while host.onLoop({ handler, _ in handler.replies.count }) != 1 {}
    host.stop()
    #expect(waiter.waitForHangup())
    #expect { try ControlClient(path: host.path) } throws: { ($0 as? ClientError)?.exitStatus == .unreachable }
  }
}
