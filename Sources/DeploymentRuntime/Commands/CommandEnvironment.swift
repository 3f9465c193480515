import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// What commands of a deploy find in their environment: nothing of the environment baton itself was started in.
package enum CommandEnvironment {
  package static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  /// In the environment of all that an operation starts: what a killed one left running is found by it.
  package static let operationName = "BATON_OPERATION"
}

extension Operation {
  /// For git and other tools that need no secrets.
  package var plainEnvironment: [String: String] {
    var environment = [
      "PATH": CommandEnvironment.path, "LANG": "C.UTF-8", "SHELL": "/bin/sh", CommandEnvironment.operationName: id.text,
    ]
    if let user = Users.user(named: deploy.user), user.id == geteuid() {
      environment["HOME"] = user.home
      environment["USER"] = user.name
      environment["LOGNAME"] = user.name
    } else if let home = getenv("HOME") {
      environment["HOME"] = String(cString: home)
    }
    return environment
  }

  /// For builds, hooks and migrations: the settings' variables, the secrets, and what baton says of this operation:
  /// BATON_OPERATION, BATON_SERVICE, BATON_DIRECTORY, and, once known, BATON_RELEASE, BATON_RELEASE_DIRECTORY,
  /// BATON_PREVIOUS_RELEASE, BATON_COMMIT. Of equal names the later counts.
  package func environment(adding added: [String: String] = [:]) -> [String: String] {
    var environment = plainEnvironment
    environment.merge(deploy.build.environment) { $1 }
    environment.merge(secrets.variables) { $1 }
    environment.merge(added) { $1 }
    environment[CommandEnvironment.operationName] = id.text
    environment["BATON_SERVICE"] = service.rawValue
    environment["BATON_DIRECTORY"] = layout.directory
    environment["BATON_RELEASE"] = facts.release?.text
    environment["BATON_RELEASE_DIRECTORY"] = facts.release.map(layout.release)
    environment["BATON_PREVIOUS_RELEASE"] = facts.previous?.text
    environment["BATON_COMMIT"] = facts.commit
    return environment
  }
}
