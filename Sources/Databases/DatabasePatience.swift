import Glibc
package import LinuxSystem
package import Vocabulary

/// How long a database is waited for, and by whom the wait is ended.
package struct DatabasePatience {
  package let deadline: Instant
  package let abort: Descriptor?

  package enum Outcome: Hashable {
    case ready
    case aborted
    case late
  }

  package init(_ limit: Duration, abort: Descriptor?) {
    deadline = Instant.monotonicNow() + limit
    self.abort = abort
  }

  private init(deadline: Instant, abort: Descriptor?) {
    self.deadline = deadline
    self.abort = abort
  }

  /// The same, ending earlier.
  package func atMost(_ limit: Duration) -> DatabasePatience {
    DatabasePatience(deadline: min(deadline, Instant.monotonicNow() + limit), abort: abort)
  }

  package var left: Duration { max(.zero, deadline - Instant.monotonicNow()) }

  /// Waits so long, unless the abort or the deadline comes first: between two looks at what tells nothing by itself.
  package func pause(_ limit: Duration) -> Outcome {
    let outcome = atMost(limit).wait()
    return outcome == .late && left > .zero ? .ready : outcome
  }

  /// Whether to go on, without waiting.
  package func look() -> Outcome {
    var aborted = pollfd(fd: abort?.raw ?? -1, events: Int16(POLLIN), revents: 0)
    if poll(&aborted, 1, 0) > 0 { return .aborted }
    return left == .zero ? .late : .ready
  }

  /// Waits for `events` of a descriptor; with none only for the abort and the deadline. Source: poll(2).
  package func wait(_ descriptor: Int32 = -1, _ events: Int32 = 0) -> Outcome {
    while true {
      var waited = [
        pollfd(fd: descriptor, events: Int16(events), revents: 0),
        pollfd(fd: abort?.raw ?? -1, events: Int16(POLLIN), revents: 0),
      ]
      // Rounded up, or the last millisecond would be spun through.
      let count = poll(&waited, 2, Int32(clamping: left.milliseconds + 1))
      if count < 0, errno == EINTR { continue }
      if waited[1].revents != 0 { return .aborted }
      if waited[0].revents != 0 { return .ready }
      if left == .zero { return .late }
    }
  }
}
