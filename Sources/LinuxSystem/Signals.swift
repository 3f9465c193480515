import CLinux
import Glibc

/// A signal by its number, named as people name it: `SIGTERM`.
package struct Signal: Hashable, Sendable, CustomStringConvertible {
  package let number: Int32
  package init(_ number: Int32) { self.number = number }

  package static let hangup = Signal(SIGHUP)
  package static let interrupt = Signal(SIGINT)
  package static let quit = Signal(SIGQUIT)
  package static let abort = Signal(SIGABRT)
  package static let kill = Signal(SIGKILL)
  package static let user1 = Signal(SIGUSR1)
  package static let user2 = Signal(SIGUSR2)
  package static let terminate = Signal(SIGTERM)
  package static let child = Signal(SIGCHLD)
  package static let `continue` = Signal(SIGCONT)
  package static let stop = Signal(SIGSTOP)

  /// `HUP`, `SIGHUP` or `1`; nil where there is no such signal.
  package init?(named name: String) {
    let bare = name.uppercased().hasPrefix("SIG") ? String(name.uppercased().dropFirst(3)) : name.uppercased()
    let found = (Int32(1)...64).first { number in
      name == "\(number)" || cl_signal_name(number).map { String(cString: $0) == bare } == true
    }
    guard let found else { return nil }
    self.init(found)
  }

  package var description: String {
    cl_signal_name(number).map { "SIG" + String(cString: $0) } ?? "signal \(number)"
  }
}

/// Signals as events of the loop (signalfd): no handler runs anywhere, no call is interrupted by them.
///
/// Make it before any thread is started, since threads inherit the mask. Signals of one kind that come together are one
/// event; for SIGCHLD ask ``Reaper`` until it has nothing. Source: signalfd(2).
package final class SignalSource {
  private let descriptor: Descriptor
  private var registration: EventLoop.Registration?
  /// Who sent the one that is being handled; pid 0 is the kernel.
  package private(set) var sender: (pid: Int32, user: UInt32) = (0, 0)

  package init(
    _ signals: [Signal], on loop: EventLoop, handler: @escaping (Signal) -> Void
  ) throws(SystemError) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal.number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    // Blocked signals never reach this handler. It is there because systemd ≥ 262 looks in /proc/PID/status whether a
    // service catches SIGHUP before it sends one.
    for signal in signals { _ = Glibc.signal(signal.number) { _ in } }
    descriptor = Descriptor(
      owning: try retrying("make a signalfd") {
        signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
      })
    registration = try loop.register(descriptor, events: .read) { [descriptor, unowned self] _ in
      var information = signalfd_siginfo()
      let size = MemoryLayout<signalfd_siginfo>.size
      while read(descriptor.raw, &information, size) == size {
        sender = (Int32(bitPattern: information.ssi_pid), information.ssi_uid)
        handler(Signal(Int32(information.ssi_signo)))
      }
    }
  }

  /// Stops watching; the signals stay blocked, so that one that comes now does not end the process.
  package func cancel() {
    registration?.cancel()
    registration = nil
  }

  /// A write to a connection whose reader is gone becomes EPIPE instead of the end of the process.
  package static func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }

  /// Blocks everything for this thread, right before an execve, so that nothing is lost or deadly on the way.
  /// Returns what was blocked before, for ``restoreMask(_:)`` when the execve failed.
  package static func blockAll() -> SignalMask {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    return SignalMask(set: before)
  }

  /// For an image that began with everything blocked (``blockAll()``): only `signals` stay so, for a source made later.
  package static func unblockAll(but signals: [Signal]) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal.number) }
    pthread_sigmask(SIG_SETMASK, &set, nil)
  }

  package static func restoreMask(_ mask: SignalMask) {
    var set = mask.set
    pthread_sigmask(SIG_SETMASK, &set, nil)
  }
}

/// A saved set of blocked signals.
package struct SignalMask {
  fileprivate let set: sigset_t
}
