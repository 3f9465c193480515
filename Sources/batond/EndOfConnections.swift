import Glibc
import LinuxSystem
import SupervisorRuntime
import Systemd
import Vocabulary

/// How many connections were cut when an earlier life of batond ended without notice. systemd has ended its workers with
/// it, so nobody could count: but the kernel remembers for a minute when each connection ended that was not ended by the
/// client, and systemd knows when the unit fell. Between that and our start nobody else ends any.
enum EndOfConnections {
  private static let limit = Duration.seconds(2)
  /// The kernel's clock for this ticks every 10 ms at the longest.
  private static let tick = Duration.milliseconds(10)
  /// From the death of the first worker until systemd starts us, beyond the delay that the unit sets: where the unit fell
  /// much earlier than its workers did, as in a stop that hung. On a busy host, or with an ExecStartPre=, it takes a second.
  private static let longestStart = Duration.seconds(2)

  /// Asks on a thread of its own.
  static func ask(_ loop: EventLoop, _ end: UncountedEnd, _ answer: @escaping (EndedConnections) -> Void) {
    let addresses = end.addresses
    let reply = loop.reply { (found: EndedConnections) in answer(found) }
    HelperThread.run { reply.send(look(addresses)) }
  }

  private static func look(_ addresses: [SocketAddress]) -> EndedConnections {
    let ports = Set(
      addresses.compactMap { address -> UInt16? in
        if case .tcp(let internet) = address { return internet.port }
        return nil
      })
    guard addresses.allSatisfy({ if case .tcp = $0 { true } else { false } }) else {
      return .unknown("the kernel does not remember those of Unix sockets")
    }
    let ends: [Instant]
    do throws(SystemError) {
      var all: [Instant] = []
      // The kernel first, before workers of ours end any.
      for port in ports { all += try SocketDiagnosis.ended(onPort: port) }
      ends = all
    } catch { return .unknown("\(error)") }
    do throws(BusError) {
      let bus = try SystemBus(timeout: limit)
      let unit = try bus.unit(ofProcess: UInt32(getpid()))
      let times = try bus.values(
        [
          .long(.unit("ActiveExitTimestampMonotonic")), .long(.service("ExecMainStartTimestampMonotonic")),
          .long(.service("RestartUSec")),
        ], of: unit)
      let fell = Instant.zero + .microseconds(Int64(clamping: times[0].long))
      let start = Instant.zero + .microseconds(Int64(clamping: times[1].long))
      guard fell > .zero, fell < start else { return .unknown("systemd does not say when the unit fell") }
      let delay = Duration.microseconds(Int64(clamping: times[2].long))
      let earliest = max(fell, start - (delay + longestStart)) - tick
      // Proofs of this life end later: batond and a worker have to start before them.
      return .about(ends.count { earliest <= $0 && $0 <= start + tick })
    } catch { return .unknown("\(error)") }
  }
}

extension Instant {
  fileprivate static func - (instant: Instant, duration: Duration) -> Instant {
    Instant(nanoseconds: max(0, instant.nanoseconds - duration.nanoseconds))
  }
}
