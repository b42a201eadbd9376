resource "aws_security_group" "this" {
  name_prefix = "${var.name}-bastion-"
  description = "Bastion: nothing comes in"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-bastion" }

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  reaches = {
    endpoints = { group = var.endpoints_group_id, port = 443, what = "Session Manager" }
    cluster   = { group = var.cluster_group_id, port = 443, what = "Kubernetes API" }
    database  = { group = var.database_group_id, port = 5432, what = "PostgreSQL" }
  }
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = local.reaches

  security_group_id            = aws_security_group.this.id
  description                  = var.emulated ? null : "To ${each.value.what}"
  referenced_security_group_id = each.value.group
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "packages" {
  security_group_id = aws_security_group.this.id
  description       = var.emulated ? null : "To S3, for packages"
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "there" {
  for_each = local.reaches

  security_group_id            = each.value.group
  description                  = var.emulated ? null : "${each.value.what} from the bastion"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}
