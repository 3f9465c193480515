import Glibc
import LinuxSystem
import SupervisorRuntime
import Systemd
import Vocabulary

/// How many connections were cut when an earlier life of batond ended without notice. systemd has ended its workers with
/// it, so nobody could count: but the kernel remembers for a minute when each connection ended that was not ended by the
/// client, and systemd knows when the unit fell and when the last of its processes was gone. Between these nobody else ends
/// any.
enum EndOfConnections {
  private static let limit = Duration.seconds(2)
  /// The kernel's clock for this ticks every 10 ms at the longest.
  private static let tick = Duration.milliseconds(10)
  /// From the death of the first worker to that of the last: where the unit fell much earlier, as in a stop that hung,
  /// connections ended in order until then.
  private static let longestEnd = Duration.seconds(2)
  /// TIME_WAIT lasts a minute; some of it is for the question.
  private static let memory = Duration.seconds(55)

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
          .long(.unit("ActiveExitTimestampMonotonic")), .long(.unit("InactiveEnterTimestampMonotonic")),
        ], of: unit)
      let fell = Instant.zero + .microseconds(Int64(clamping: times[0].long))
      let gone = Instant.zero + .microseconds(Int64(clamping: times[1].long))
      guard fell > .zero, fell <= gone else { return .unknown("systemd does not say when the unit fell") }
      guard Instant.monotonicNow() - gone < memory else {
        return .unknown("the kernel remembers them for a minute, and the unit was down for longer")
      }
      let earliest = max(fell, gone - longestEnd) - tick
      return .about(ends.count { earliest <= $0 && $0 <= gone + tick })
    } catch { return .unknown("\(error)") }
  }
}

extension Instant {
  fileprivate static func - (instant: Instant, duration: Duration) -> Instant {
    Instant(nanoseconds: max(0, instant.nanoseconds - duration.nanoseconds))
  }
}
