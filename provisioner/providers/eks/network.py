"""The network of a cluster on EKS: a VPC with a private and a public subnet in each zone, and a way out."""

from surreal.provisioner.providers.terraform.common import Block
from surreal.provisioner.spec.cluster import Cluster

DEFAULT_ZONES = 2
"""Zones that are used when none are named; EKS refuses fewer."""


def zone_names(cluster: Cluster) -> dict[str, str]:
    """Return key of a zone in the files -> its name, or the expression that finds it."""
    if cluster.spec.zones:
        return {zone.removeprefix(str(cluster.spec.region)): zone for zone in cluster.spec.zones}
    names = "data.aws_availability_zones.available.names"
    return {"abc"[index]: f"${{{names}[{index}]}}" for index in range(DEFAULT_ZONES)}


def node_subnets(cluster: Cluster, zones: tuple[str, ...] = ()) -> list[str]:
    """Return the subnets of nodes in `zones` (all if none are named), as expressions."""
    kind = "private" if cluster.spec.network.private_nodes else "public"
    chosen = [key for key, name in zone_names(cluster).items() if not zones or name in zones]
    return [f"${{aws_subnet.{kind}_{key}.id}}" for key in chosen]


def network(cluster: Cluster) -> Block:
    """Return the resources of the network."""
    zones, name = zone_names(cluster), cluster.name
    kinds = ["public", "private"] if cluster.spec.network.private_nodes else ["public"]
    resources: Block = {
        "aws_vpc": {
            "this": {
                "cidr_block": "${var.cidr}",
                "enable_dns_support": True,
                "enable_dns_hostnames": True,
                "tags": {"Name": name},
            }
        },
        # adopted and without a rule, so that nothing hangs on it by mistake
        "aws_default_security_group": {"this": {"vpc_id": "${aws_vpc.this.id}"}},
        "aws_internet_gateway": {"this": {"vpc_id": "${aws_vpc.this.id}", "tags": {"Name": name}}},
        "aws_subnet": {
            f"{kind}_{key}": _subnet(cluster, kind, key, zone, 8 * kinds.index(kind) + index)
            for kind in kinds
            for index, (key, zone) in enumerate(zones.items())
        },
        "aws_route_table": {
            kind: {"vpc_id": "${aws_vpc.this.id}", "tags": {"Name": f"{name}-{kind}"}} for kind in kinds
        },
        # not inside the table: as an attribute in JSON a route would need every argument there is
        "aws_route": {kind: _route(kind) for kind in kinds},
        "aws_route_table_association": {
            f"{kind}_{key}": {
                "subnet_id": f"${{aws_subnet.{kind}_{key}.id}}",
                "route_table_id": f"${{aws_route_table.{kind}.id}}",
            }
            for kind in kinds
            for key in zones
        },
    }
    resources["aws_vpc_endpoint"] = {"s3": _s3_endpoint(name, kinds)}
    return {**resources, **(_nat(name, next(iter(zones))) if "private" in kinds else {})}


def _s3_endpoint(name: str, kinds: list[str]) -> Block:
    """Return a way to S3 that is free: checkpoints and logs stay off the NAT gateway, which bills each GB."""
    return {
        "vpc_id": "${aws_vpc.this.id}",
        "service_name": "com.amazonaws.${var.region}.s3",
        "vpc_endpoint_type": "Gateway",
        "route_table_ids": [f"${{aws_route_table.{kind}.id}}" for kind in kinds],
        "tags": {"Name": f"{name}-s3"},
    }


def _subnet(cluster: Cluster, kind: str, key: str, zone: str, number: int) -> Block:
    """Return one of sixteen equal parts of the network."""
    public = kind == "public"
    role = "kubernetes.io/role/elb" if public else "kubernetes.io/role/internal-elb"
    return {
        "vpc_id": "${aws_vpc.this.id}",
        "availability_zone": zone,
        "cidr_block": f"${{cidrsubnet(var.cidr, 4, {number})}}",
        # without private nodes the nodes are here and have no other way out
        "map_public_ip_on_launch": public and not cluster.spec.network.private_nodes,
        "tags": {"Name": f"{cluster.name}-{kind}-{key}", role: "1"},
    }


def _route(kind: str) -> Block:
    gateway = (
        {"gateway_id": "${aws_internet_gateway.this.id}"}
        if kind == "public"
        else {"nat_gateway_id": "${aws_nat_gateway.this.id}"}
    )
    return {"route_table_id": f"${{aws_route_table.{kind}.id}}", "destination_cidr_block": "0.0.0.0/0", **gateway}


def _nat(name: str, zone: str) -> Block:
    """Return one gateway for all zones: when its zone fails no image can be pulled, and what runs goes on."""
    return {
        "aws_eip": {"nat": {"domain": "vpc", "tags": {"Name": name}}},
        "aws_nat_gateway": {
            "this": {
                "allocation_id": "${aws_eip.nat.id}",
                "subnet_id": f"${{aws_subnet.public_{zone}.id}}",
                "tags": {"Name": name},
                "depends_on": ["aws_internet_gateway.this"],
            }
        },
    }
