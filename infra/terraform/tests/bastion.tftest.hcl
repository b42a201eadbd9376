mock_provider "aws" {
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-12345678" }
  }
}

variables {
  name               = "slipway-test"
  vpc_id             = "vpc-1"
  subnet_id          = "subnet-1"
  instance_type      = "t4g.nano"
  ssh_public_key     = ""
  endpoints_group_id = "sg-endpoints"
  s3_prefix_list_id  = "pl-s3"
  cluster_group_id   = "sg-cluster"
  database_group_id  = "sg-database"
  emulated           = false
}

run "nothing_comes_in" {
  module {
    source = "./modules/bastion"
  }

  assert {
    condition     = alltrue([for one in aws_vpc_security_group_ingress_rule.there : one.security_group_id != aws_security_group.this.id])
    error_message = "something may connect to the bastion"
  }
  assert {
    condition     = alltrue([for one in concat(values(aws_vpc_security_group_ingress_rule.there), values(aws_vpc_security_group_egress_rule.out)) : one.cidr_ipv4 == null && one.cidr_ipv6 == null && one.from_port != 22])
    error_message = "a rule names addresses, or the port of SSH"
  }
  assert {
    condition     = !aws_instance.this.associate_public_ip_address
    error_message = "the bastion has a public address"
  }
  assert {
    condition     = aws_instance.this.metadata_options[0].http_tokens == "required" && aws_instance.this.root_block_device[0].encrypted
    error_message = "old metadata clients are served, or the disk is not encrypted"
  }
  assert {
    condition     = length(aws_key_pair.this) == 0
    error_message = "there is a key pair that nobody asked for"
  }
}

run "a_public_key_makes_a_key_pair_and_opens_nothing" {
  module {
    source = "./modules/bastion"
  }

  variables {
    ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8a7gxZo5rYkDkVtYQbQ4Xq0pU0yJ5ZkYb3k2b7wq1V a@example.com"
  }

  assert {
    condition     = aws_instance.this.key_name == "slipway-test-bastion" && length(aws_key_pair.this) == 1
    error_message = "the key pair is not the instance's"
  }
  assert {
    condition     = alltrue([for one in aws_vpc_security_group_ingress_rule.there : one.security_group_id != aws_security_group.this.id])
    error_message = "the key opened a port"
  }
}
