import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem

@Suite struct EventLoopTests {
  @Test func `a handler hears of what can be read, and after cancel of nothing`() throws {
    let loop = try EventLoop()
    let pipe = try Descriptor.pipe()
    var heard = 0
    let registration = try loop.register(pipe.reader, events: .read) { events in
      #expect(events == .read)
      heard += 1
    }
    #expect(write(pipe.writer.raw, "x", 1) == 1)
    try loop.turn(waiting: true)
    try loop.turn(waiting: true)
    #expect(heard == 2, "level-triggered: again until it is read")
    registration.cancel()
    registration.cancel()
    try loop.turn(waiting: false)
    #expect(heard == 2)
  }

  @Test func `a handler cancelled by another of the same wake-up is not called, even when its number is used again`()
    throws
  {
    let loop = try EventLoop()
    var pipes: [(reader: Descriptor, writer: Descriptor)] = []
    for _ in 0..<2 { pipes.append(try Descriptor.pipe()) }
    var registrations: [EventLoop.Registration] = []
    var heard: [Int] = []
    var replacement: EventLoop.Registration?
    for index in 0..<2 {
      registrations.append(
        try loop.register(pipes[index].reader, events: .read) { _ in
          heard.append(index)
          let other = 1 - index
          registrations[other].cancel()
          let number = pipes[other].reader.raw
          registrations.remove(at: other)
          pipes[other].reader.close()
          guard let fresh = try? Descriptor.pipe() else { return }
          #expect(fresh.reader.raw == number, "the kernel gives the lowest free number")
          replacement = try? loop.register(fresh.reader, events: .read) { _ in heard.append(99) }
        })
    }
    for pipe in pipes { #expect(write(pipe.writer.raw, "x", 1) == 1) }
    try loop.turn(waiting: true)
    #expect(heard.count == 1)
    #expect(!heard.contains(99))
    #expect(replacement?.isActive == true)
  }

  @Test func `deadlines fire in order, once, not before their time, and not after cancel`() throws {
    let loop = try EventLoop()
    let start = Instant.monotonicNow()
    var fired: [String] = []
    loop.schedule(at: start + .milliseconds(20)) {
      #expect(loop.now >= start + .milliseconds(20))
      fired.append("late")
      loop.stop()
    }
    let cancelled = loop.schedule(at: start + .milliseconds(5)) { fired.append("cancelled") }
    loop.schedule(at: start + .milliseconds(10)) { fired.append("early") }
    loop.schedule(at: start + .milliseconds(10)) { fired.append("early too") }
    loop.cancel(cancelled)
    try loop.run()
    #expect(fired == ["early", "early too", "late"])
  }

  @Test func `a deadline cancelled by one that is due at the same time does not fire`() throws {
    let loop = try EventLoop()
    var fired = 0
    var tokens: [TimerToken] = []
    for _ in 0..<2 {
      tokens.append(
        loop.schedule(at: .zero) {
          fired += 1
          for token in tokens { loop.cancel(token) }
        })
    }
    try loop.turn(waiting: true)
    #expect(fired == 1)
  }

  @Test func `a handler that schedules what is already due does not keep the loop`() throws {
    let loop = try EventLoop()
    var fired = 0
    func again() {
      fired += 1
      loop.schedule(at: .zero, again)
    }
    again()
    try loop.turn(waiting: true)
    #expect(fired == 2)
  }

  @Test func `thousands of deadlines come out sorted, cancelled ones take no room`() throws {
    var queue = DeadlineQueue()
    var generator = SystemRandomNumberGenerator()
    var out: [Int64] = []
    var expected: [Int64] = []
    var tokens: [TimerToken] = []
    for _ in 0..<5_000 {
      let instant = Int64.random(in: 0..<1_000, using: &generator)
      if Bool.random(using: &generator) {
        tokens.append(queue.add(Instant(nanoseconds: instant)) { Issue.record("cancelled") })
      } else {
        expected.append(instant)
        _ = queue.add(Instant(nanoseconds: instant)) { out.append(instant) }
      }
    }
    for token in tokens { queue.cancel(token) }
    #expect(queue.count == expected.count)
    while let handler = queue.takeDue(at: Instant(nanoseconds: 2_000), before: queue.limit) { handler() }
    #expect(out == expected.sorted())
    #expect(queue.earliest == nil)
  }

  @Test func `other threads post work and hand back values`() throws {
    let loop = try EventLoop()
    final class Box { var values: [Int] = [] }
    let box = Box()
    let count = 100
    func finishIfComplete() { if box.values.count == count { loop.stop() } }
    for index in 0..<count {
      let reply = loop.reply { (value: Int) in
        box.values.append(value)
        finishIfComplete()
      }
      try runOnThread {
        reply.send(index)
        reply.send(index)
      }
    }
    try loop.run()
    #expect(Set(box.values) == Set(0..<count), "each reply delivers once")
  }

  @Test func `an idle loop does not wake`() throws {
    let loop = try EventLoop()
    loop.schedule(after: .milliseconds(50)) { loop.stop() }
    let cancelled = loop.schedule(after: .milliseconds(10)) {}
    loop.cancel(cancelled)
    try loop.run()
    #expect(loop.wakeUps == 1)
  }

  @Test func `deferred work runs before the loop waits, after the handlers`() throws {
    let loop = try EventLoop()
    var order: [String] = []
    loop.schedule(at: .zero) {
      loop.deferred {
        order.append("deferred")
        loop.deferred { loop.stop() }
      }
      order.append("handler")
    }
    try loop.run()
    #expect(order == ["handler", "deferred"])
  }
}

/// A detached thread that runs `body` once.
func runOnThread(_ body: @escaping @Sendable () -> Void) throws {
  final class Work {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let argument = Unmanaged.passRetained(Work(body)).toOpaque()
  let result = pthread_create(
    &thread, nil,
    { argument in
      if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
      return nil
    }, argument)
  try #require(result == 0)
  pthread_detach(thread)
}
