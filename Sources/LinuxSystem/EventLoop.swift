import CLinux
import Glibc
package import Vocabulary

/// One thread waiting for everything: descriptors (epoll, level-triggered), deadlines (one timerfd), work other threads
/// post (one eventfd). It wakes only when one of these has something, so an idle loop costs nothing.
///
/// Not Sendable: made, used and run on one thread. Other threads hold an ``EventLoop/Inbox`` or a ``Reply``.
/// Handlers must not block; whatever one of them has to read in bulk it reads within a budget.
/// Source: epoll(7), timerfd_create(2), eventfd(2).
package final class EventLoop {
  /// When the current wake-up began: one instant for all that is decided in it.
  package private(set) var now: Instant
  /// Where other threads leave work for this one.
  package let inbox: Inbox
  /// How often the loop has woken, for the promise of an idle supervisor.
  package private(set) var wakeUps: UInt64 = 0

  private let epoll: Descriptor
  private let timer: Descriptor
  private var registrations: [UInt64: Registration] = [:]
  /// Never reused, unlike descriptor numbers: news for a key that is gone is stale and dropped.
  private var nextKey: UInt64 = firstKey
  private var deadlines = DeadlineQueue()
  private var armed: Instant?
  private var deferred: [() -> Void] = []
  private var replies: [UInt64: (any Sendable) -> Void] = [:]
  private var isStopping = false

  private static let inboxKey: UInt64 = 0
  private static let timerKey: UInt64 = 1
  private static let firstKey: UInt64 = 2
  private static let batch = 64

  package init() throws(SystemError) {
    epoll = Descriptor(owning: try retrying("make an epoll") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    timer = Descriptor(
      owning: try retrying("make a timer") {
        timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC) | Int32(TFD_NONBLOCK))
      })
    inbox = try Inbox()
    now = .monotonicNow()
    try control(EPOLL_CTL_ADD, timer.raw, Self.timerKey, .read)
    try control(EPOLL_CTL_ADD, inbox.wakeUp.raw, Self.inboxKey, .read)
  }

  // MARK: Descriptors

  /// What a descriptor is watched for, and what was seen. `hangup` and `error` are always reported, asked for or not.
  package struct Events: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let read = Events(rawValue: EPOLLIN.rawValue)
    package static let write = Events(rawValue: EPOLLOUT.rawValue)
    /// Out-of-band news: a change of a cgroup's `cgroup.events`.
    package static let priority = Events(rawValue: EPOLLPRI.rawValue)
    /// The peer has shut down its writing half. Reported only when asked for.
    package static let peerClosed = Events(rawValue: EPOLLRDHUP.rawValue)
    package static let hangup = Events(rawValue: EPOLLHUP.rawValue)
    package static let error = Events(rawValue: EPOLLERR.rawValue)
  }

  /// One watched descriptor. Watching goes on until ``cancel()``, whether or not anybody keeps this object.
  package final class Registration {
    fileprivate let key: UInt64
    /// Kept open while it is watched: a number closed under epoll goes on reporting as long as a copy lives elsewhere.
    fileprivate let descriptor: Descriptor
    fileprivate let handler: (Events) -> Void
    fileprivate weak var loop: EventLoop?

    fileprivate init(key: UInt64, descriptor: Descriptor, loop: EventLoop, handler: @escaping (Events) -> Void) {
      self.key = key
      self.descriptor = descriptor
      self.loop = loop
      self.handler = handler
    }

    package var isActive: Bool { loop?.registrations[key] != nil }

    /// Changes what is watched for.
    package func watch(_ events: Events) throws(SystemError) {
      guard let loop, isActive else { return }
      try loop.control(EPOLL_CTL_MOD, descriptor.raw, key, events)
    }

    /// After this the handler is never called again, not even for news already fetched in this wake-up. May be called
    /// from any handler, also more than once.
    package func cancel() {
      loop?.remove(self)
      loop = nil
    }
  }

  /// Calls `handler` whenever `descriptor` has one of `events`, again and again until what caused it is taken away.
  ///
  /// - Throws: EPERM for files that cannot be waited for (regular files), EEXIST for one that is already watched.
  @discardableResult
  package func register(
    _ descriptor: Descriptor, events: Events, handler: @escaping (Events) -> Void
  ) throws(SystemError) -> Registration {
    let registration = Registration(key: nextKey, descriptor: descriptor, loop: self, handler: handler)
    try control(EPOLL_CTL_ADD, descriptor.raw, nextKey, events)
    registrations[nextKey] = registration
    nextKey += 1
    return registration
  }

  private func remove(_ registration: Registration) {
    guard registrations.removeValue(forKey: registration.key) != nil else { return }
    // Fails only when the descriptor was closed behind our back, and then it is not watched either.
    _ = epoll_ctl(epoll.raw, EPOLL_CTL_DEL, registration.descriptor.raw, nil)
  }

  private func control(_ operation: Int32, _ raw: Int32, _ key: UInt64, _ events: Events) throws(SystemError) {
    var event = epoll_event()
    event.events = events.rawValue
    event.data.u64 = key
    try retrying("watch", "fd \(raw)") { epoll_ctl(epoll.raw, operation, raw, &event) }
  }

  // MARK: Deadlines

  /// Calls `handler` once, at `instant` or soon after; at the next wake-up when `instant` has passed. Never from inside
  /// this call.
  @discardableResult
  package func schedule(at instant: Instant, _ handler: @escaping () -> Void) -> TimerToken {
    deadlines.add(instant, handler)
  }

  @discardableResult
  package func schedule(after delay: Duration, _ handler: @escaping () -> Void) -> TimerToken {
    schedule(at: Instant.monotonicNow() + delay, handler)
  }

  /// After this the handler is never called. A token that has fired or was cancelled is ignored.
  package func cancel(_ token: TimerToken?) {
    if let token { deadlines.cancel(token) }
  }

  // MARK: Work

  /// Runs `work` on this thread before the loop waits again, after the handlers of this wake-up: for what must not run
  /// inside the caller's stack.
  package func deferred(_ work: @escaping () -> Void) { deferred.append(work) }

  /// Runs `work` on this loop's thread. Other threads use ``inbox``.
  package func post(_ work: @escaping @Sendable () -> Void) { inbox.post { _ in work() } }

  /// A way for another thread to hand one value back to `handler`, which runs here and may hold what is not Sendable.
  ///
  /// The loop keeps the handler until the value comes or ``Reply/abandon()`` is called.
  package func reply<Value: Sendable>(_ handler: @escaping (Value) -> Void) -> Reply<Value> {
    let key = nextKey
    nextKey += 1
    replies[key] = { value in
      if let value = value as? Value { handler(value) }
    }
    return Reply(key: key, inbox: inbox)
  }

  func deliver(_ value: any Sendable, to key: UInt64) { replies.removeValue(forKey: key)?(value) }
  func abandonReply(_ key: UInt64) { replies.removeValue(forKey: key) }

  // MARK: Running

  /// Called with how long this thread did not run (SIGSTOP, a debugger, a host that stood still), before anything else
  /// that waits is looked at.
  package var wasAway: (Duration) -> Void = { _ in }

  /// So late nobody is on a host that is only busy.
  private static let mostLateness = Duration.seconds(1)

  /// Runs until ``stop()``.
  /// - Throws: only when epoll itself fails, which leaves nothing to go on with.
  package func run() throws(SystemError) {
    isStopping = false
    // What was done before does not count as being away.
    now = .monotonicNow()
    while !isStopping { try turn(waiting: true) }
  }

  /// ``run()`` returns after the current wake-up.
  package func stop() { isStopping = true }

  /// One wake-up: waits for news if `waiting` and nothing is due, then calls every handler that has some.
  package func turn(waiting: Bool) throws(SystemError) {
    arm()
    let before = now
    var events = [epoll_event](repeating: epoll_event(), count: Self.batch)
    let timeout: Int32 = waiting && deferred.isEmpty ? -1 : 0
    let count = try retrying("wait for events") {
      epoll_wait(epoll.raw, &events, Int32(Self.batch), timeout)
    }
    now = .monotonicNow()
    wakeUps &+= 1
    // Woken long after the time it had asked for, and after the last wake-up: nobody ran here meanwhile.
    let isLate = armed.map { now - max($0, before) > Self.mostLateness } ?? false
    if isLate { wasAway(now - before) }
    for event in events.prefix(Int(count)) {
      let key = event.data.u64
      switch key {
      case Self.timerKey: drainTimer()
      case Self.inboxKey: inbox.run(on: self)
      default: registrations[key]?.handler(Events(rawValue: event.events))
      }
    }
    // Handlers may schedule and cancel: one at a time, and what they add waits for the next wake-up.
    let limit = deadlines.limit
    // What came meanwhile is heard before anybody is called late.
    while !isLate, let handler = deadlines.takeDue(at: now, before: limit) { handler() }
    let work = deferred
    deferred = []
    for item in work { item() }
  }

  /// Sets the timer to the earliest deadline, if that has changed since the last wait.
  private func arm() {
    let earliest = deadlines.earliest
    guard earliest != armed else { return }
    var setting = itimerspec()
    if let earliest {
      // All zero would disarm: a deadline at or before the clock's start is simply long due.
      let nanoseconds = max(earliest.nanoseconds, 1)
      setting.it_value.tv_sec = Int(nanoseconds / 1_000_000_000)
      setting.it_value.tv_nsec = Int(nanoseconds % 1_000_000_000)
    }
    // Cannot fail: the descriptor is ours and the value is in range.
    _ = timerfd_settime(timer.raw, Int32(TFD_TIMER_ABSTIME), &setting, nil)
    armed = earliest
  }

  private func drainTimer() {
    var expirations: UInt64 = 0
    _ = read(timer.raw, &expirations, MemoryLayout<UInt64>.size)
    armed = nil
  }
}
