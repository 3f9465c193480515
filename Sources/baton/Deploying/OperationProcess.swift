import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import LinuxSystem
import Systemd
import Vocabulary

/// The process that works on an operation, as the one who follows sees it.
enum OperationProcess {
  /// A child in a session of its own: a terminal that goes away takes nothing with it.
  case child(SpawnedProcess)
  /// `baton-deploy@NAME.service`.
  case unit(String, SystemBus)
  /// Begun by somebody else.
  case unknown

  /// What a child is given of our environment; units get what the unit file says.
  private static let variables = [
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "http_proxy",
    "https_proxy", "no_proxy", "DBUS_SYSTEM_BUS_ADDRESS", "BATON_CONTROL", "BATON_FAULT",
    "BATON_FAULT_IN", "BATON_FAULT_LOG",
  ]

  static func startChild(_ service: DeployedService, _ id: OperationID) throws -> OperationProcess {
    var request = SpawnRequest(
      program: "/proc/self/exe",
      arguments: ["baton", "run-operation", "\(service.name)", "--settings", service.path, "--operation", "\(id)"],
      environment: [:])
    for name in variables { if let value = Host.variable(name) { request.environment[name] = value } }
    request.directory = "/"
    request.umask = 0o027
    // Not our own: whoever reads that would wait for the end of the operation. What goes there is a crash's.
    request.standardError = try? Descriptor.open(
      "\(service.layout.operation(id))/errors.log", flags: O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o640)
    do throws(SpawnError) { return .child(try request.spawn()) } catch {
      throw Failure(.failed, "\(error)", holds: "nothing was begun")
    }
  }

  /// Whether it may still do something; `unknown` says nothing.
  var isRunning: Bool? {
    switch self {
    case .child(let process):
      var status: Int32 = 0
      return waitpid(process.pid, &status, WNOHANG) == 0
    case .unit(let name, let bus):
      // A unit that ended well is not kept loaded.
      guard let path = try? bus.loadUnit(name), let state = try? bus.string(.unit("ActiveState"), of: path) else {
        return nil
      }
      return !["inactive", "failed"].contains(state)
    case .unknown: return nil
    }
  }

  /// Readable when it ends.
  var pidfd: Descriptor? { if case .child(let process) = self { process.pidfd } else { nil } }
}

/// The installed unit that does the work, for one service.
struct DeployUnit {
  let service: ServiceName
  let bus: SystemBus

  var name: String { "baton-deploy@\(service).service" }

  /// With a connection made as whoever we are now: to be called before root becomes the deploy user.
  init(_ service: ServiceName) throws {
    self.service = service
    let inline = "baton deploy --foreground does the work without systemd"
    guard access("/run/systemd/system", F_OK) == 0 else {
      throw Failure(.failed, "systemd does not run this host", holds: "nothing was begun", next: inline)
    }
    do throws(BusError) {
      bus = try SystemBus()
      let path = try bus.loadUnit("baton-deploy@\(service).service")
      guard try bus.string(.unit("LoadState"), of: path) == "loaded" else {
        throw BusError("load baton-deploy@\(service).service", message: "it is not installed")
      }
    } catch {
      throw Failure(
        .failed, "\(error)", holds: "nothing was begun",
        next: "scripts/install puts the unit in its place; or \(inline)")
    }
  }

  var isBusy: Bool { OperationProcess.unit(name, bus).isRunning ?? false }

  func start() throws {
    do throws(BusError) {
      let result = try bus.perform(.start, name, within: .seconds(30))
      guard result == .done else {
        throw BusError("start \(name)", message: "systemd says \(result)", remedy: "journalctl -u \(name)")
      }
    } catch {
      throw Failure(.failed, "\(error)", holds: "nothing was begun", next: error.remedy)
    }
  }
}
