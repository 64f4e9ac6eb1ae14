"""Kong files of any size: N services, each with a route and a host; or N names in `domains`."""

HEAD = '_format_version: "3.0"\n_transform: true\n'

PLUGIN = """plugins:
- name: acme
  config:
    account_email: bench@example.com
    tos_accepted: true
    cert_type: ecc
    storage: shm
    domains:
"""


ZONE = "bench.test"


def leaf_name(number, zone=ZONE):
    """As the bench's C programs name their certificates."""
    return f"h{number:07}.{zone}"


def service(number, host):
    return f"""- name: service-{number:06}
  url: http://10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:8080/base
  connect_timeout: 60000
  retries: 5
  tags: [bench, team-{number % 97}]
  routes:
  - name: route-{number:06}
    hosts:
    - {host}
    paths:
    - /
    protocols: [https]
    strip_path: true
    preserve_host: true
"""


def write_services(path, count, altered=None, zone=ZONE):
    """All hosts lie behind the gate *.ZONE; route `altered` = (number, host) has another."""
    number, host = altered or (None, None)
    with open(path, "w", encoding="ascii") as f:
        f.write(HEAD + PLUGIN + f'    - "*.{zone}"\nservices:\n')
        for i in range(count):
            f.write(service(i, host if i == number else leaf_name(i, zone)))


def write_domains(path, count):
    with open(path, "w", encoding="ascii") as f:
        f.write(HEAD + PLUGIN)
        f.writelines(f"    - {leaf_name(i)}\n" for i in range(count))
