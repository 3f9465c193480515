import LinuxSystem
import Vocabulary

/// A port for one worker alone, chosen by the kernel. It is free when this returns; the kernel hands out others first.
enum FreePort {
  static func take() throws(ListenError) -> UInt16 {
    let address = SocketAddress.InternetAddress(host: .v4([127, 0, 0, 1]), port: 0)
    let socket = try ListeningSocket.first(
      address, datagram: false, ListeningSocket.Options(backlog: 1, nonblocking: true))
    do { return try KernelAddress.local(of: socket).port } catch { throw .system(error) }
  }
}
