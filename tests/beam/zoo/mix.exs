defmodule Zoo.MixProject do
  use Mix.Project

  # One source for both versions, so that what differs between them stands side by side.
  @vsn System.fetch_env!("ZOO")

  def project do
    [
      app: :zoo,
      version: "#{@vsn}.0.0",
      elixir: "~> 1.14",
      elixirc_options: [ignore_module_conflict: true],
      releases: [zoo: [include_executables_for: [:unix], steps: [:assemble, &ship_appup/1]]]
    ]
  end

  def application, do: [extra_applications: [:logger, :sasl], mod: {Zoo.Application, []}]

  defp ship_appup(release) do
    if @vsn == "2" do
      ebin = Path.join([release.path, "lib", "zoo-#{release.version}", "ebin"])
      File.cp!("zoo.appup.yaml", Path.join(ebin, "zoo.appup.yaml"))
    end

    release
  end
end
