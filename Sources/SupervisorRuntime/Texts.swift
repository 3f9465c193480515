import LinuxSystem
package import Supervision
package import Vocabulary

// The core's values in words. Kept here because signal names need the system.

extension Supervision.ExitReason {
  package var text: String {
    switch self {
    case .exited(let code): "exit status \(code)"
    case .signalled(let number): "\(Signal(number))"
    case .outOfMemory(isSure: true): "SIGKILL by the kernel, for want of memory (OOM)"
    case .outOfMemory(isSure: false): "SIGKILL, most likely by the kernel for want of memory (OOM)"
    }
  }
}

extension WorkerFault {
  package var text: String {
    switch self {
    case .exited(let reason): "ended with \(reason.text)"
    case .notReady(let limit): "was not ready within \(limit.text)"
    case .spawn(let why): "could not be started: \(why)"
    case .hangs(let why): "hangs (watchdog): \(why)"
    }
  }
}

extension DrainBound {
  package var text: String {
    switch self {
    case .time(let time): "it may for no longer than \(time.text) (max-drain-time)"
    case .count(let most): "no more than \(most) may at once (max-draining)"
    }
  }
}

extension RecycleReason {
  package var text: String {
    switch self {
    case .memory(let taken, let limit): "it takes \(taken.bytes >> 20) MiB, and memory-limit is \(limit.text)"
    case .age(let age): "it has been at work for \(age.text) (max-age)"
    case .requests(let count, let limit): "it has answered \(count) requests, and max-requests is \(limit)"
    }
  }
}

extension Refusal {
  package var text: String {
    switch self {
    case .settings(let why), .release(let why): why
    case .worker(let id, let fault): "\(id.label) \(fault.text)"
    case .listener(let listener, let why): "cannot listen on \(listener.key): \(why)"
    case .listenerLeft(let listener): "its listener on \(listener.key) was shut down by one of its workers"
    case .disproved(let engine, let why): "\(engine) did not prove itself: \(why)"
    case .failedCheck(let why): "the check of its trial said no: \(why)"
    case .held(.asked): "it was proved and waited, and whoever asked for it called it off"
    case .held(.callerLeft): "whoever asked for it left before saying commit"
    case .held(.expired(let limit)): "it was proved and waited \(limit.text), and nobody said commit"
    case .notExclusive(let engine): "\(engine) is exclusive and still runs"
    case .stopped: "the service is being stopped"
    case .unknownEngine(let name): "there is no engine \(name)"
    case .nothingStarted: "no engine could be started"
    }
  }

  package var isAboutSettings: Bool {
    if case .settings = self { return true }
    return false
  }

  /// Whose last lines explain it.
  package var worker: WorkerID? {
    if case .worker(let id, _) = self { return id }
    return nil
  }
}

extension ShutdownCause {
  package var text: String {
    switch self {
    case .stop: "stopping"
    case .restart: "stopping to be started again; connections wait in the queue"
    case .failure: "stopping, because nothing could be started"
    }
  }
}

extension Stage {
  package var text: String {
    switch self {
    case .intake: "stop intake"
    case .engines: "drain engines"
    case .database: "close database"
    case .redis: "close Redis"
    }
  }
}
