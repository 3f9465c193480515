import Glibc
import LinuxSystem
import Supervision
import Systemd
import Vocabulary

/// Why systemd ends us: for good, or to start us again. Its job of our unit tells; only D-Bus shows it.
enum StopCause {
  private static let limit = Duration.seconds(1)

  /// Asks on a thread of its own. Where the manager does not answer, or has no job (somebody sent the signal, and
  /// `Restart=always` will start us again), the listeners are kept: a stop for good makes systemd drop them anyway.
  static func ask(_ loop: EventLoop, _ answer: @escaping (ShutdownCause) -> Void) {
    let reply = loop.reply { (cause: ShutdownCause) in answer(cause) }
    HelperThread.run { reply.send(job() == "stop" ? .stop : .restart) }
  }

  private static func job() -> String? {
    do throws(BusError) {
      let bus = try SystemBus(timeout: limit)
      return try bus.job(of: bus.unit(ofProcess: UInt32(getpid())))?.type
    } catch { return nil }
  }
}
