import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Vocabulary

/// Shows an operation to whoever asked for it. It goes on by itself: the first Ctrl-C asks it for an orderly end, the
/// second only leaves the terminal.
struct OperationFollower {
  let service: DeployedService
  let id: OperationID
  let process: OperationProcess
  let display: any OperationDisplay

  enum End {
    /// With the latest lines that programs printed: they were shown already.
    case verdict(OperationVerdict, shown: Set<String>)
    /// The person left; it goes on.
    case left
    /// The process is gone without a last word.
    case died
    /// Nobody took the request up.
    case ignored
  }

  func follow() -> End {
    let reader = OperationNewsReader(service.layout, id)
    let interruptions = Interruptions()
    var shown: [String] = []
    var latest: OperationVerdict?
    while true {
      let gone = isGone
      // Looked at before the last reading, so that nothing it said is missed.
      var verdict: OperationVerdict?
      while case let news = reader.next(), !news.isEmpty {
        for item in news {
          // What was recovered, or baked later, has a second one: the last counts.
          verdict = item.verdict
          latest = verdict ?? latest
          if item.kind == .output, let text = item.text { shown.append(text) }
          display.show(item)
        }
        shown = shown.suffix(200)
      }
      if let verdict {
        awaitEnd()
        return .verdict(verdict, shown: Set(shown))
      }
      if gone {
        // It ended, and somebody goes on after it: a bake that was left for later.
        if let latest { return .verdict(latest, shown: Set(shown)) }
        return hasBegun ? .died : .ignored
      }
      switch interruptions.taken() {
      case 0: break
      case 1:
        let isHeard = AbortPipe.ask(service.layout, id)
        display.say(
          isHeard
            ? "asked for an orderly end; Ctrl-C again leaves it alone on the host"
            : "it cannot be asked yet; Ctrl-C again leaves it alone on the host")
      default: return .left
      }
      display.tick()
      reader.wait(atMost: .seconds(1), or: [interruptions.readable, process.pidfd].compactMap { $0 })
    }
  }

  /// After its last word the process gives the lock back and ends: whoever asks next, right after us, is not to find it busy.
  private func awaitEnd() {
    let deadline = Instant.monotonicNow() + .seconds(5)
    // systemd would tell, to those who subscribe; this takes some milliseconds.
    while isAtWork, Instant.monotonicNow() < deadline { _ = poll(nil, 0, 10) }
  }

  private var isAtWork: Bool {
    process.isRunning ?? (StepLog.isAlive(service.layout, id) || AbortPipe.isAttended(service.layout, id))
  }

  private var hasBegun: Bool { !StepLog.peek(service.layout, id).isEmpty }

  private var isGone: Bool {
    if let isRunning = process.isRunning { return !isRunning }
    return hasBegun && !StepLog.isAlive(service.layout, id) && !AbortPipe.isAttended(service.layout, id)
  }
}

/// Ctrl-C as something to wait for.
final class Interruptions {
  private(set) var readable: Descriptor?
  private var writable: Descriptor?
  private var count = 0

  init() {
    guard let pipe = try? Descriptor.pipe(nonblockingReader: true) else { return }
    readable = pipe.reader
    writable = pipe.writer
    interruptionTarget = pipe.writer.raw
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in
        var byte: UInt8 = 1
        let before = errno
        _ = write(interruptionTarget, &byte, 1)
        errno = before
      }
    }
  }

  deinit {
    for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    interruptionTarget = -1
  }

  /// How many there were, 0 when none is new.
  func taken() -> Int {
    var bytes = [UInt8](repeating: 0, count: 64)
    guard let readable, case let fresh = read(readable.raw, &bytes, bytes.count), fresh > 0 else { return 0 }
    count += fresh
    return count
  }
}

/// Written before the handlers are placed, read by them alone.
nonisolated(unsafe) private var interruptionTarget: Int32 = -1
